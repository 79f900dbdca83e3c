/**
 * What the tests in a browser share: Chromium, logged-in pages, pictures, and waits. SERVICE_URL, SERVICE_KEY and OTHER_KEY
 * name a running service and two of its users.
 */

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before } from "node:test";

const fromTools = createRequire(new URL("../node/package.json", import.meta.url));
const { chromium } = fromTools("playwright-core");
export const axe = await readFile(fromTools.resolve("axe-core/axe.min.js"), "utf8");

export const url = process.env.SERVICE_URL ?? "";
export const key = process.env.SERVICE_KEY ?? "";
export const otherKey = process.env.OTHER_KEY ?? "";
const WIDE = { width: 1280, height: 800 };
/** Milliseconds for whatever is waited for: the page itself waits half a minute in an outage, and machines are busy. */
const PATIENCE = 180_000;
/** What the browser itself writes for each answer that a test provokes. */
const PROVOKED = /^Failed to load resource/;

const folder = mkdtempSync(join(tmpdir(), "nimbus-web-"));
/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  const args = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
});
after(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

let made = 0;
let browsers = 0;

/** @returns {string} the path of a file that the service has not */
export function newFile(name = `picture-${(made += 1)}.svg`, content = "") {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><text>${name} ${Date.now()}</text></svg>`;
  writeFileSync(join(folder, name), content || svg);
  return join(folder, name);
}

/**
 * @param {Record<string, string>} files contents by path
 * @returns {string} the path of a folder with these files
 */
export function newFolder(files) {
  const made = join(mkdtempSync(join(folder, "folder-")), "dropped");
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(made, path)), { recursive: true });
    writeFileSync(join(made, path), content);
  }
  return made;
}

export function copyOf(file, name) {
  copyFileSync(file, join(folder, name));
  return join(folder, name);
}

export const pictures = (number) => Array.from({ length: number }, () => newFile());

/**
 * Open a page without a session. It is closed at the end of the test, which fails if the page wrote an error to its console.
 * @param {import("node:test").TestContext} t
 * @param {object} options of the browser's context
 */
export async function browse(t, options = {}) {
  // Attempts to log in are counted by address: each browser has its own.
  const extraHTTPHeaders = { "x-forwarded-for": `10.0.0.${(browsers += 1)}` };
  const context = await browser.newContext({ viewport: WIDE, extraHTTPHeaders, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const errors = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(error.message));
  t.after(async () => {
    await context.close();
    assert.deepEqual(errors.filter((error) => !PROVOKED.test(error)), []); // prettier-ignore
  });
  return { context, page, errors };
}

/**
 * Open the upload page, logged in.
 * @param {import("node:test").TestContext} t
 * @param {object} options of the browser's context; key: of another user; at: another service
 */
export async function openPage(t, { key: own = key, at = url, ...options } = {}) {
  const { context, page, errors } = await browse(t, options);
  await page.goto(`${at}/`);
  await logIn(page, own);
  await page.waitForSelector(".drop");
  return { context, page, errors };
}

/** Log in where a page asks for it. */
export async function logIn(page, own) {
  await page.waitForURL("**/login?**");
  await page.fill("input[name=key]", own);
  await page.click("button.primary");
}

/** Wait until as many rows are shown in a state: the page draws before the next frame. */
export const shown = (page, state, number) =>
  page.waitForFunction(
    ([wanted, count]) => document.querySelectorAll(`.file[data-state="${wanted}"]:not([hidden])`).length === count,
    [state, number],
  );
/** What the upload page says: screen readers are told the same elsewhere. */
export const note = (page, words) => page.locator(".note").getByText(words);
export const rows = (page, state) => page.locator(`.file[data-state="${state}"]:visible`);
export const stored = (page, number, total = number) =>
  phases(page, (text, wanted) => text.startsWith(wanted), `Uploading ${number}/${total} `);

/** Wait until so many files are searchable. */
export const searchable = (page, number, total = number) =>
  phases(page, (text, wanted) => text.endsWith(wanted), `Searchable ${number}/${total}`);

/** Wait for the line of phases; a failure says what the page showed instead. */
async function phases(page, isThere, wanted) {
  const line = page.locator("[data-test=phases]");
  const end = Date.now() + PATIENCE;
  while (!isThere((await line.textContent({ timeout: PATIENCE })) ?? "", wanted)) {
    if (Date.now() > end) assert.fail(`${await line.textContent()} is not ${wanted}: ${await unfinished(page)}`);
    await page.waitForTimeout(50);
  }
}

/** What the page says of the files that are not searchable, as far as they are in sight. */
const unfinished = (page) => page.locator('.file:visible:not([data-state="ready"])').allInnerTexts();

/** @returns {Promise<void>} resolved when the page has got so many answers from addresses with this part */
export function countOf(page, part, number) {
  return new Promise((resolve) => {
    let seen = 0;
    page.on("requestfinished", (request) => request.url().includes(part) && (seen += 1) === number && resolve());
  });
}
