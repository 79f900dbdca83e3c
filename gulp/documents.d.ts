// Generated from the documents that commands print, by tests/gulp/catalogue.py. See docs/documents.md.

export interface ApiKeyUsage {
  requests_today: number;
  requests_total: number;
}

export interface Applied {
  dry_run: boolean;
  output: string;
  pages: AppliedPage[];
}

export interface AppliedPage {
  path: string;
  applied: string[];
  already: string[];
  refused: RefusedChange[];
  diff: string;
}

export interface AssetCopy {
  width: number;
  height: number;
  size: number;
  content_type: string;
  sha256: string;
  url: string;
  cid?: string | undefined;
  ipfs_url?: string | undefined;
}

export interface AssetCost {
  requests: number;
  bytes: number;
  writes: number;
  minutes: number;
}

export interface AssetLocation {
  url: string;
  uploaded: string;
  verified: string;
  cid?: string | undefined;
  ipfs_url?: string | undefined;
  id?: string | undefined;
  group_id?: string | undefined;
  etag?: string | undefined;
  copies?: AssetCopy[] | undefined;
}

export interface AssetRecord {
  sha256: string;
  size: number;
  content_type: string;
  created: string;
  source_paths: string[];
  locations: Record<string, AssetLocation>;
  width?: number | undefined;
  height?: number | undefined;
  original?: string | undefined;
}

export interface AssetResult {
  path: string;
  result: "failed" | "recorded" | "uploaded";
  sha256?: string | undefined;
  size?: number | undefined;
  paths?: string[] | undefined;
  url?: string | undefined;
  cid?: string | undefined;
  verified?: string | undefined;
  error?: string | undefined;
  failure?: string | undefined;
  ms?: number | undefined;
  sent?: number | undefined;
  copies?: number | undefined;
}

export interface AssetSummary {
  store: string;
  files: number;
  unchanged: number;
  repeated: number;
  uploaded: number;
  recorded: number;
  failed: number;
  bytes: number;
  results: AssetResult[];
  problems: Problem[];
  pointer: string;
  deleted: string[];
  latency: Record<string, number>;
  failures: Record<string, number>;
  ms: number;
  webhook: Record<string, number>;
  saved: number;
  copies: number;
  stopped: string;
  cost: AssetCost | null;
}

export interface Assets {
  assets: AssetRecord[];
}

export interface BatchPage {
  status: string;
  uploaded?: string | undefined;
  started?: string | undefined;
  completed?: string | undefined;
  error?: string | undefined;
  superseded_by?: string | undefined;
}

export interface BatchRecord {
  batch_id: string;
  project_id: string;
  created: string;
  page_count: number;
  status: string;
  pages: Record<string, BatchPage>;
  summary: BatchSummary;
}

export interface BatchSummary {
  completed: number;
  failed: number;
  pending: number;
  average_time_ms: number;
}

export interface Batches {
  batches: ListedBatch[];
  complete: boolean;
}

export interface Cancelled {
  batch_id: string;
  status: string;
  pages: number;
  left: number;
  refused: Record<string, string>;
}

export interface Change {
  id: string;
  type: string;
  content: string;
  optimized_content: string;
  reason?: string | undefined;
  optimized_type?: string | undefined;
}

export interface Checked {
  sha256: string;
  url: string;
  result: "damaged" | "failed" | "missing" | "verified";
  error: string;
  path: string;
  again: string;
}

export interface CompletionScript {
  shell: string;
  script: string;
}

export interface Cost {
  requests: number;
  writes: number;
  reads: number;
  lists: number;
  bytes: number;
  seconds: number | null;
  dollars: number;
  free_plan: boolean;
}

export interface Counts {
  pages: number;
  stored: number;
  unchanged: number;
  removed: number;
  waiting: number;
  failed: number;
  invalid: number;
  skipped: number;
  moved: number;
  redirects: number;
  generated: number;
}

export interface Diagnosis {
  well: boolean;
  problems: number;
  warnings: number;
  checks: Finding[];
}

export interface Difference {
  page_id: string;
  source_path: string;
  what: "missing at the target" | "not in the queue" | "other content" | "other state" | "unknown to the ledger";
}

export interface Digests {
  here?: string | undefined;
  there?: string | undefined;
}

export interface Explanation {
  path: string;
  skipped?: string | undefined;
  generator?: string | undefined;
  main?: string | undefined;
  why?: string | undefined;
  blocks?: number | undefined;
  left_out?: LeftOut[] | undefined;
}

export interface Extracted {
  pages: number;
  read: number;
  written: string[];
  removed: string[];
  skipped: SkippedSource[];
}

export interface Failed {
  page_id: string;
  source_path: string;
  code: string;
  error: string;
}

export interface Finding {
  check: string;
  level: "ok" | "problem" | "warning";
  message: string;
  next_step?: string | undefined;
}

export interface InBatch {
  batch_id: string;
  status: string;
  page?: BatchPage | undefined;
}

export interface Issue {
  file: string;
  pointer: string;
  message: string;
  severity: "error" | "warning";
  line: number;
  column: number;
}

export interface KnownKey {
  name: string;
  hash: string;
  created: string;
  active: boolean;
  usage: ApiKeyUsage;
  last_used?: string | undefined;
  scope?: string | undefined;
}

export interface LeftOut {
  selector: string;
  why: string;
  words: number;
  text: string;
}

export interface ListedBatch {
  batch_id: string;
  created: string;
  status: string;
  page_count: number;
  summary: BatchSummary;
  superseded?: boolean | undefined;
}

export interface ListedKeys {
  user_id: string;
  keys: KnownKey[];
}

export interface LogEntry {
  timestamp: string;
  level: string;
  step: string;
  message: string;
  data?: Record<string, unknown> | undefined;
  duration_ms?: number | undefined;
}

export interface Metrics {
  total_pages: number;
  success_rate: number;
  average_time_ms?: number | undefined;
  p50_time_ms?: number | undefined;
  p95_time_ms?: number | undefined;
  total_changes?: number | undefined;
  uploaded_again?: number | undefined;
  average_confidence?: number | undefined;
  states: Record<string, number>;
  failures: Record<string, number>;
}

export interface PageDetail {
  page_id: string;
  source_path?: string | undefined;
  uploaded?: string | undefined;
  digest: Digests;
  issues?: Issue[] | undefined;
  status?: PageStatus | undefined;
  queue?: Place | undefined;
  batch?: InBatch | undefined;
  optimization?: unknown | undefined;
  log_entries: LogEntry[];
}

export interface PageDiff {
  path: string;
  page_id: string;
  differences?: Difference[] | undefined;
  more?: number | undefined;
  note?: string | undefined;
}

export interface PageLog {
  page_id: string;
  source_path?: string | undefined;
  entries: LogEntry[];
}

export interface PageResult {
  path: string;
  page_id: string;
  reason:
    | "applied"
    | "changed"
    | "forced"
    | "missing"
    | "moved"
    | "new"
    | "removed"
    | "unchanged"
    | "unfinished"
    | "upgraded"
    | "";
  result: "failed" | "invalid" | "queued" | "removed" | "skipped" | "stored" | "unchanged" | "waiting";
  error: string;
  bytes: number;
  ms: number;
  map_file: string;
  batch_id: string;
  moved_from: string;
  stays_done: boolean;
  lacks_accepted: boolean;
}

export interface PageStatus {
  status: string;
  batch_id: string;
  updated: string;
  processing?: Processing | undefined;
  result?: Result | undefined;
  error?: StatusError | undefined;
}

export interface Place {
  place: number;
  length: number;
  priority: number;
  queued_at: string;
  attempts: number;
}

export interface PlanDocument {
  dry_run: boolean;
  reasons: Record<string, number>;
  unchanged: number;
  waiting: number;
  bytes: number;
  refusal: string;
  cost: Cost;
  pages: PageResult[];
  volatile?: Volatile | undefined;
  diffs?: PageDiff[] | undefined;
}

export interface Problem {
  path: string;
  reason: string;
  failed: boolean;
  sent: boolean;
}

export interface Processing {
  started: string;
  current_step: string;
  progress: number;
}

export interface ProjectMade {
  project_id: string;
  name: string;
  domain: string;
  source: string;
  file: string;
  already: boolean;
  generator: string;
}

export interface Pruned {
  store: string;
  dry_run: boolean;
  days: number;
  files: Record<string, string>;
  kept: number;
}

export interface Reconciled {
  target: string;
  pages: number;
  differences: Difference[];
  repairs: Repair[];
  recent: number;
  lag: number;
  dry_run: boolean;
  unqueued: Record<string, string>;
  requeued: Record<string, string>;
  synced: Record<string, number>;
  values: number;
  damaged: Repair[];
  stopped: string;
}

export interface RefusedChange {
  change: string;
  reason: string;
}

export interface Rendered {
  path: string;
  format: string;
  text: string;
}

export interface Repair {
  key: string;
  why: string;
  remedy: "failed" | "left" | "rebuilt" | "repair" | "resend";
}

export interface Report {
  batch_id: string;
  project_id: string;
  created: string;
  generated: string;
  status: string;
  summary: BatchSummary;
  metrics: Metrics;
  pages: ReportPage[];
}

export interface ReportError {
  message: string;
  code: string;
}

export interface ReportPage {
  page_id: string;
  source_path?: string | undefined;
  status: string;
  uploaded?: string | undefined;
  started?: string | undefined;
  completed?: string | undefined;
  time_ms?: number | undefined;
  result?: Result | undefined;
  changes?: number | undefined;
  confidence?: number | undefined;
  optimized_blocks?: Change[] | undefined;
  error?: ReportError | undefined;
  later_batch?: string | undefined;
  log_entries: LogEntry[];
}

export interface Result {
  completed: string;
  success: boolean;
  changes: number;
  confidence: number;
}

export interface Retried {
  batch_id: string;
  status: string;
  pages: Record<string, string>;
  refused: Record<string, string>;
  missing: string[];
  stopped: string;
}

export interface Revoked {
  key: KnownKey;
  already: boolean;
}

export interface Running {
  url: string;
  login_url: string;
  role: "all" | "web" | "worker";
  workers: number;
}

export interface RunningWorker {
  url: string;
  worker: string;
  persist: string;
}

export interface ShownKey {
  key: string;
  hash: string;
  name: string;
  user_id: string;
  created: string;
}

export interface ShownPointer {
  key: string;
  group: string;
  variant: string;
  url: string;
  updated: string;
  metadata: Record<string, unknown>;
}

export interface ShownPointers {
  pointers: ShownPointer[];
}

export interface SkippedSource {
  path: string;
  reason: string;
  failed: boolean;
}

export interface Stats {
  total: number;
  uploaded: number;
  processed: number;
  ready: number;
  failed: number;
  uploading: number;
  processing: number;
  embedding: number;
}

export interface StatusError {
  message: string;
  code: string;
  timestamp: string;
}

export interface Step {
  name: string;
  ms: number;
  error: string;
}

export interface Summary {
  project_id: string;
  target: string;
  started: string;
  finished: string;
  batches: string[];
  bytes: number;
  counts: Counts;
  stopped: string;
  refusal: string;
  pages: PageResult[];
  volatile?: Volatile | undefined;
}

export interface Totals {
  project_id: string;
  started: string;
  finished: string;
  seconds: number;
  pages_a_second: number;
  done: number;
  failed: number;
  put_back: number;
  discarded: number;
  given_back: number;
  left_in_hand: number;
  settled: number;
  dropped: number;
  overwritten: number;
  waiting: number;
  changes: number;
  spent: number;
  overspent: number;
  stopped: string;
  interrupted: boolean;
  failures: Failed[];
}

export interface UploadTest {
  store: string;
  passed: boolean;
  url: string;
  steps: Step[];
  verified: string;
}

export interface ValidationReport {
  folder: string;
  maps: number;
  valid: number;
  invalid: number;
  warnings: number;
  issues: Issue[];
}

export interface Verification {
  store: string;
  verified: number;
  wrong: number;
  copies: number;
  files: Checked[];
  elsewhere: number;
}

export interface Volatile {
  values: string[];
  blocks: string[];
  pages: number;
  compared: number;
  setting: string;
}

export interface Written {
  folder: string;
  fates: Record<string, "changed" | "foreign" | "made" | "replaced" | "unchanged" | "updated" | "yours">;
}
