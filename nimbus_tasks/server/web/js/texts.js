/** All texts of the pages, in one place for translation. `{name}` is replaced by a value. */

import { ApiError } from "./api.js";

export const TEXTS = {
  // Navigation
  upload: "Upload",
  gallery: "Gallery",
  failedJobs: "Failed jobs",
  status: "Status",
  batches: "Page batches",
  keys: "Keys",
  logout: "Log out",
  skip: "Skip to the page",
  pages: "Pages",

  // Login
  login: "Log in",
  apiKey: "API key",
  loginHelp: "Each start of the service prints a link that logs in. In its folder, this makes a key:",
  linkUsed: "That link has been used or has expired. Log in with an API key, or restart the service for a new link.",
  loginWrong: "This key is not known, or it was revoked.",
  loginForPrograms: "This key is for a program: it does not log in.",
  loginTooOften: "Too many attempts. Try again in {time}.",

  // Upload
  dropHere: "Drop files or a folder here",
  orChoose: "or choose them. You can also paste pictures.",
  chooseFiles: "Choose files",
  chooseFolder: "Choose a folder",
  pause: "Pause",
  resume: "Resume",
  cancelAll: "Cancel all",
  cancel: "Cancel",
  retry: "Retry",
  retryAll: "Retry {count} failed",
  clear: "Remove finished from the list",
  filter: "Show",
  all: "All ({count})",
  open: "Open ({count})",
  failedOnly: "Failed ({count})",
  duplicatesOnly: "Duplicates ({count})",
  phaseUploading: "Uploading",
  phaseProcessing: "Processing",
  phaseSearchable: "Searchable",
  phases: "Uploading {stored}/{total} · Processing {processed}/{total} · Searchable {searchable}/{total}",
  rate: "{rate}/s, {left} left",
  emptyList: "No such files.",
  ignored: "Left out, as they are empty: {names}",
  leftOut: "Left out, as they cannot be read: {names}",
  andMore: "{names} and {count} more",
  addedTwice: "{count} files are in the list already.",
  missing: "{count} files must be chosen again to continue: the browser does not keep files over a reload.",
  continued: "Continued after a reload.",
  tooMany: "The server asks to wait: going on in {seconds} s.",
  away: "The service does not answer. The upload continues when it does.",
  offline: "No connection. The upload continues when it is back.",
  paused: "Paused.",
  loggedOut: "You are logged out. Log in again in another tab, then resume here: the files stay.",
  allDone: "All {total} files are uploaded and searchable.",
  doneWithFailures: "Done: {searchable} of {total} searchable, {failed} failed.",
  leave: "Files are still being uploaded.",

  // States of a file
  waiting: "Waiting",
  hashing: "Computing checksum",
  hashed: "Checking",
  queued: "Queued",
  uploading: "Uploading",
  uploaded: "Processing",
  ready: "Ready to search",
  duplicate: "Already there",
  failed: "Failed",
  jobFailed: "Failed",
  cancelled: "Cancelled",
  missingState: "Choose again",

  // Gallery and asset
  searchWords: "Search by words",
  similar: "Similar pictures",
  state: "State",
  anyState: "All states",
  readyState: "Ready to search",
  workingState: "In progress",
  failedState: "Failed",
  more: "Show more",
  found: "{count} shown",
  nothingFound: "Nothing found.",
  nothingYet: "No files yet. Those that you upload are shown here.",
  noWords: "Type a word to search for.",
  firstFound: "The first {count}",
  bestFound: "The best {count}",
  similarity: "Similarity {percent} %",
  similarTo: "Pictures similar to {name}",
  noPicture: "No preview",
  folder: "Folder",
  size: "Size",
  type: "Type",
  uploadedAt: "Uploaded",
  checksum: "SHA-256",
  address: "Address",
  mainPicture: "Main picture",
  thumbnail: "Thumbnail",
  usedBy: "Used by",
  lastError: "Last error",
  findSimilar: "Find similar pictures",
  delete: "Delete",
  deleteAsk: "Delete {name}?",
  restore: "Restore",
  restored: "Restored.",
  copy: "Copy",
  copied: "Copied.",
  notCopied: "Not copied: select the text",
  assetGone: "There is no such file, or it was deleted.",

  // Deleted files
  recentlyDeleted: "Recently deleted",
  deletedHelp: "Deleted files can be restored for 23 hours. After that they are removed for good.",
  deleted: "Deleted.",
  deletedFor: "This file is deleted. It can be restored for another {time}.",
  timeLeft: "{time} left",
  restoreNamed: "Restore {name}",
  restoredNamed: "{name} is restored.",
  notRestorable: "It can no longer be restored.",
  nothingDeleted: "No file was deleted in the last 23 hours.",

  // Failed jobs
  newestJobs: "The newest {count} of {total} are shown.",
  noFailedJobs: "No job has failed for good.",
  file: "File",
  step: "Step",
  imageStep: "Picture",
  embeddingStep: "Search",
  attempts: "Attempts",
  when: "When",
  noPage: "There is no such page.",
  dismiss: "Dismiss",
  queuedAgain: "Queued again.",

  // Status
  count_total: "Files",
  count_ready: "Searchable",
  count_processing: "Waiting for the picture job",
  count_embedding: "Waiting for search",
  count_uploading: "Uploading",
  count_failed: "Failed",
  waitingJobs: "Waiting jobs",
  recentErrors: "Recent errors",
  allFailedJobs: "All failed jobs",
  donePerMinute: "Done in a minute",
  uploadLatency: "Time to complete an upload",
  nowAndMost: "now {now}, most {most} in the last {time}",

  // Batches of pages
  noBatches: "No batch of pages yet: doit upload makes one.",
  batch: "Batch",
  pagesCount: "Pages",
  progress: "Progress",
  batchCounts: "{completed} completed, {failed} failed, {pending} pending",

  // Keys
  keysHelp: "A key lets a program use the service as you. Give each program its own, named after where it is used.",
  noKeys: "No key yet.",
  keyName: "Name",
  keyHash: "Hash",
  keyCreated: "Created",
  lastUsed: "Last used",
  requests: "Requests",
  never: "Never",
  keyActive: "Active",
  keyIsRevoked: "Revoked",
  ownKey: "opened this session",
  contentKey: "only reads pages",
  logsIn: "can log in",
  mayLogIn: "It can log in here, and so create and revoke keys",
  createKey: "Create",
  keyShownOnce: "The key {name} was created. Copy it now: it is not shown again.",
  revoke: "Revoke",
  revokeNamed: "Revoke {name}",
  revokeAsk: "Revoke {name}? Programs that use it are refused from then on, and its sessions end.",
  revokeOwnAsk: "Revoke {name}? This session was opened with it: you are logged out.",
  keyRevoked: "{name} is revoked.",

  // What went wrong, and what to do
  rate_limit: "Too many requests. It is tried again by itself.",
  network: "The connection failed. Check the network, then retry.",
  server: "The server had an error. Retry; if it stays, ask who runs it.",
  invalid: "This file is not accepted.",
  auth: "Not allowed. Log in again.",
  quota: "No space is left on the server. Ask who runs it.",
  unknown: "Something unexpected failed. Retry.",
  unreadable: "The file cannot be read any more. Choose it again.",
};

/** @typedef {keyof typeof TEXTS} TextName */

/**
 * @param {TextName} name
 * @param {Record<string, string | number>} values
 */
export function text(name, values = {}) {
  return TEXTS[name].replace(/\{(\w+)\}/g, (whole, key) => {
    const value = values[key];
    return value === undefined ? whole : typeof value === "number" ? value.toLocaleString("en") : value;
  });
}

/**
 * @param {unknown} error
 * @returns {string} what went wrong, as the service says it, or else by its class
 */
export function problemText(error) {
  if (!(error instanceof ApiError)) return text("unknown");
  return error.message || text(error.kind);
}

/** @param {number | string} moment epoch milliseconds, or ISO 8601 */
export function timeText(moment) {
  const date = new Date(moment);
  return Number.isNaN(date.getTime()) ? "–" : date.toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
}

/** @param {number} bytes */
export function bytesText(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

/** @param {number} seconds */
export function durationText(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  const hours = seconds / 3600;
  return `${hours.toFixed(hours < 9.95 ? 1 : 0)} h`;
}
