/**
 * Uploads files through the page in Chromium, one tab for each user. LOAD (JSON) says what:
 * {url, keys, folders, cut: "" | "offline" | "store", seconds}. Each line of output is JSON: how far it is, in the end a report.
 */

import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const { chromium } = createRequire(new URL("../../tests/node/package.json", import.meta.url))("playwright-core");
const { url, keys, folders, cut, seconds } = JSON.parse(process.env.LOAD ?? "{}");
/** Share of the files that are stored when the network or the store is cut. */
const CUT_AT = 0.3;
const LOOK_EVERY = 500;

const args = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
const system = await browser.newBrowserCDPSession();
const peak = { tab: 0, browser: 0, heap: 0 };

const tell = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** @returns {number} MB that belong to a process alone, as Chromium's own task manager counts; 0: it has ended */
function memoryOf(id) {
  try {
    const status = readFileSync(`/proc/${id}/status`, "utf8");
    const kB = (name) => Number(status.match(new RegExp(`${name}:\\s+(\\d+)`))?.[1] ?? 0);
    return ((kB("RssAnon") + kB("RssShmem")) * 1024) / 1e6;
  } catch {
    return 0;
  }
}

async function sampleMemory() {
  const { processInfo } = await system.send("SystemInfo.getProcessInfo");
  const all = processInfo.map(({ type, id }) => ({ type, mb: memoryOf(id) }));
  const tabs = all.filter(({ type }) => type === "renderer").map(({ mb }) => mb);
  peak.tab = Math.max(peak.tab, ...tabs);
  peak.browser = Math.max(peak.browser, all.reduce((sum, { mb }) => sum + mb, 0)); // prettier-ignore
}

/**
 * Runs in the page before its own scripts. What Chromium itself does with 2,000 chosen files before it tells the page is one
 * long task, which no page can help: it is counted apart.
 */
function observe() {
  const tasks = (globalThis.tasks = { page: [], choosing: 0, chosen: Infinity });
  addEventListener("change", () => (tasks.chosen = Math.min(tasks.chosen, performance.now())), true);
  const note = (list) => {
    for (const { startTime, duration } of list.getEntries()) {
      if (startTime < tasks.chosen && startTime + duration > tasks.chosen) tasks.choosing = Math.round(duration);
      else if (startTime >= tasks.chosen) tasks.page.push(Math.round(duration));
    }
  };
  new PerformanceObserver(note).observe({ type: "longtask", buffered: true });
}

/** Runs in the page. */
function progress() {
  const numbers = (text) => [...(text ?? "").replaceAll(",", "").matchAll(/\d+/g)].map(([found]) => Number(found));
  const [stored = 0, total = 0, , , searchable = 0] = numbers(
    document.querySelector("[data-test=phases]")?.textContent,
  );
  const open = numbers(
    [...document.querySelectorAll(".tab")].find((tab) => tab.textContent?.startsWith("Open"))?.textContent,
  )[0];
  return { stored, total, searchable, open: open ?? -1 };
}

/** Runs in the page: the journal has each file's state. */
async function report() {
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const opening = indexedDB.open("nimbus-uploads");
  const database = await new Promise((resolve) => (opening.onsuccess = () => resolve(opening.result)));
  const reading = database.transaction("items").objectStore("items").getAll();
  const items = await new Promise((resolve) => (reading.onsuccess = () => resolve(reading.result)));
  const failures = {};
  const failed = items.filter(({ state }) => state === "failed" || state === "jobFailed");
  for (const { state, failure } of failed)
    failures[`${state}: ${failure}`] = (failures[`${state}: ${failure}`] ?? 0) + 1;
  const durations = performance.getEntriesByName("upload").map(({ duration }) => Math.round(duration));
  return { durations, failures, tasks: globalThis.tasks, heap: performance.memory.usedJSHeapSize / 1e6 };
}

/** @returns {Promise<import("playwright-core").Page>} */
async function open(key) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.addInitScript(observe);
  await page.goto(`${url}/login`);
  await page.fill("input[name=key]", key);
  await page.click("button.primary");
  await page.waitForSelector(".drop");
  return page;
}

async function cutNow(page) {
  tell({ cut });
  const context = page.context();
  if (cut === "offline") await context.setOffline(true);
  else await context.route("**/files/**", (route) => route.abort("connectionrefused"));
  await wait(seconds * 1000);
  if (cut === "offline") await context.setOffline(false);
  else await context.unrouteAll({ behavior: "ignoreErrors" });
}

const pages = await Promise.all(keys.map(open));
const files = folders.map((folder) => readdirSync(folder).map((name) => join(folder, name)));
const began = Date.now();
await Promise.all(pages.map((page, index) => page.setInputFiles("#files", files[index])));
const total = files.flat().length;
/** @type {Promise<void> | null} */
let cutting = null;
let secondsStored = 0;
for (;;) {
  const all = await Promise.all(pages.map((page) => page.evaluate(progress)));
  const sum = (name) => all.reduce((found, each) => found + each[name], 0);
  const stored = sum("stored");
  tell({ stored, searchable: sum("searchable"), total });
  if (stored === total) secondsStored ||= (Date.now() - began) / 1000;
  if (cut && !cutting && stored >= total * CUT_AT) cutting = cutNow(pages[0]);
  await sampleMemory();
  if (all.every((each, index) => each.open === 0 && each.total === files[index].length)) break;
  await wait(LOOK_EVERY);
}
const secondsReady = (Date.now() - began) / 1000;
await cutting;
const reports = await Promise.all(pages.map((page) => page.evaluate(report)));
const failures = {};
for (const each of reports)
  for (const [name, count] of Object.entries(each.failures)) failures[name] = (failures[name] ?? 0) + count;
tell({
  report: {
    seconds_stored: secondsStored || secondsReady,
    seconds_ready: secondsReady,
    milliseconds: reports.flatMap(({ durations }) => durations),
    long_tasks: reports.flatMap(({ tasks }) => tasks.page),
    choosing_ms: Math.max(...reports.map(({ tasks }) => tasks.choosing)),
    failures,
    tab_mb: peak.tab,
    heap_mb: Math.max(...reports.map(({ heap }) => heap)),
    browser_mb: peak.browser,
  },
});
await browser.close();
