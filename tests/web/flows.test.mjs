/** The pages in a real browser against a running service: SERVICE_URL and SERVICE_KEY say which. */

import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";

const fromTools = createRequire(new URL("../node/package.json", import.meta.url));
const { chromium } = fromTools("playwright-core");
const axe = await readFile(fromTools.resolve("axe-core/axe.min.js"), "utf8");

const url = process.env.SERVICE_URL ?? "";
const key = process.env.SERVICE_KEY ?? "";
const PAGES = ["/", "/gallery", "/failed-jobs", "/status", "/batches", "/login"];
const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };
/** Answers of the API that a test provokes: the browser logs each as an error of the console. */
const PROVOKED = /Failed to load resource|net::ERR_/;

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

/** @returns {string} the path of a file that the service has not */
function newFile(name = `picture-${(made += 1)}.svg`) {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><text>${name} ${Date.now()}</text></svg>`;
  writeFileSync(join(folder, name), svg);
  return join(folder, name);
}

function copyOf(file, name) {
  copyFileSync(file, join(folder, name));
  return join(folder, name);
}

const pictures = (number) => Array.from({ length: number }, () => newFile());

/**
 * Open a page of its own, logged in; errors of its console are collected.
 * @param {object} options of the browser's context
 */
async function openPage(options = {}) {
  const context = await browser.newContext({ viewport: WIDE, ...options });
  const page = await context.newPage();
  const errors = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(`${url}/`);
  await page.waitForURL("**/login?**");
  await page.fill("input[name=key]", key);
  await page.click("button.primary");
  await page.waitForSelector(".drop");
  errors.length = 0; // the refusal that led to the login
  return { context, page, errors };
}

/** Wait until as many rows are shown in a state: the page draws before the next frame. */
const shown = (page, state, number) =>
  page.waitForFunction(
    ([wanted, count]) => document.querySelectorAll(`.file[data-state="${wanted}"]:not([hidden])`).length === count,
    [state, number],
  );
const rows = (page, state) => page.locator(`.file[data-state="${state}"]:visible`);
const stored = (page, number, total = number) =>
  page.waitForFunction(
    (wanted) => document.querySelector("[data-test=phases]")?.textContent?.startsWith(wanted),
    `Uploading ${number}/${total} `,
  );

test("a login with a wrong key says so, and leads on after the right one", async () => {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${url}/gallery`);
  await page.waitForURL("**/login?next=%2Fgallery");
  await page.fill("input[name=key]", "sk_live_00000000000000000000000000000000");
  await page.click("button.primary");
  await page.getByText("This key is not known").waitFor();
  await page.fill("input[name=key]", key);
  await page.click("button.primary");
  await page.waitForURL("**/gallery");
  await page.context().close();
});

test("files are uploaded, a duplicate and a refused one are told", async () => {
  const { context, page, errors } = await openPage();
  const files = pictures(12);
  await page.setInputFiles("#files", [...files, copyOf(files[0], "again.svg"), newFile("notes.txt")]);
  await stored(page, 13, 14);
  await shown(page, "duplicate", 1);
  assert.match((await rows(page, "failed").textContent()) ?? "", /image\/\*/);
  assert.deepEqual(errors, []);
  await context.close();
});

test("a reload in mid-upload continues: no file is hashed or sent twice", async () => {
  const { context, page } = await openPage();
  let sent = 0;
  let held = true;
  await page.route("**/files/**", async (route) => {
    sent += 1;
    if (held && sent > 3) return; // never answered: the reload ends it
    await route.continue();
  });
  const files = pictures(8);
  await page.setInputFiles("#files", files);
  await stored(page, 3, 8);
  await page.waitForTimeout(700); // the journal is written twice a second
  page.on("dialog", (dialog) => void dialog.accept());
  await page.reload();
  await page.getByText("must be chosen again").waitFor();
  held = false;
  sent = 0;
  await page.setInputFiles("#files", files);
  await stored(page, 8);
  assert.equal(sent, 5);
  await context.close();
});

test("429 stops all slots for the time that the server says, and is shown", async () => {
  const { context, page } = await openPage();
  let refusals = 1;
  let early = 0;
  let until = 0;
  await page.route("**/api/upload-urls", async (route) => {
    if (Date.now() < until) early += 1;
    if (!refusals) return route.continue();
    refusals -= 1;
    until = Date.now() + 3000;
    const body = JSON.stringify({ error: "Too many uploads", code: "rate_limit", retryAfter: 3 });
    await route.fulfill({ status: 429, headers: { "retry-after": "3" }, contentType: "application/json", body });
  });
  await page.setInputFiles("#files", pictures(4));
  await page.getByText(/asks to wait: going on in [123] s/).waitFor();
  await stored(page, 4);
  assert.equal(early, 0);
  await context.close();
});

test("an address that has expired is asked for again", async () => {
  const { context, page } = await openPage();
  let expired = 2;
  await page.route("**/files/**", (route) => (expired-- > 0 ? route.fulfill({ status: 403 }) : route.continue()));
  await page.setInputFiles("#files", pictures(3));
  await stored(page, 3);
  await context.close();
});

test("failures of the network are tried again; without one the page waits", async () => {
  const { context, page, errors } = await openPage();
  let cut = 2;
  await page.route("**/files/**", (route) => (cut-- > 0 ? route.abort("connectionreset") : route.continue()));
  await page.setInputFiles("#files", pictures(3));
  await stored(page, 3);
  await context.setOffline(true);
  await page.setInputFiles("#files", pictures(2));
  await page.getByText("No connection.").waitFor();
  await context.setOffline(false);
  await stored(page, 5);
  assert.deepEqual(errors.filter((error) => !PROVOKED.test(error)), []); // prettier-ignore
  await context.close();
});

test("pause, resume, cancel one and retry it", async () => {
  const { context, page } = await openPage();
  let held = true;
  await page.route("**/files/**", (route) => (held ? undefined : route.continue()));
  await page.setInputFiles("#files", pictures(6));
  await rows(page, "uploading").first().waitFor();
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.getByText("Paused.").waitFor();
  await shown(page, "uploading", 0);
  await page.getByRole("button", { name: /^Cancel picture/ }).first().click(); // prettier-ignore
  await shown(page, "cancelled", 1);
  held = false;
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await stored(page, 5);
  await page.getByRole("button", { name: /^Retry picture/ }).click();
  await stored(page, 6);
  await context.close();
});

test("two tabs upload at once, and neither takes the other's files", async () => {
  const { context, page } = await openPage();
  let held = true;
  await context.route("**/files/**", (route) => (held ? undefined : route.continue()));
  await page.setInputFiles("#files", pictures(3));
  await rows(page, "uploading").first().waitFor();
  await page.waitForTimeout(700); // the journal is written twice a second
  const second = await context.newPage();
  await second.goto(`${url}/`);
  await second.waitForSelector(".drop");
  assert.equal(await second.locator(".file:visible").count(), 0);
  held = false;
  await page.reload();
  await second.setInputFiles("#files", pictures(2));
  await stored(second, 2);
  await context.close();
});

test("ten thousand files in the list: few rows are in the document", async () => {
  const { context, page } = await openPage();
  await context.setOffline(true);
  await page.evaluate(() => {
    const transfer = new DataTransfer();
    for (let number = 0; number < 10_000; number += 1) transfer.items.add(new File(["x"], `${number}.svg`));
    const input = /** @type {HTMLInputElement} */ (document.querySelector("#files"));
    input.files = transfer.files;
    input.dispatchEvent(new Event("change"));
  });
  await page.getByText("All (10,000)").waitFor();
  await page.locator(".virtual").evaluate((list) => (list.scrollTop = list.scrollHeight));
  await page.getByText("9999.svg").waitFor();
  assert.ok((await page.locator(".file").count()) < 60);
  await context.close();
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(`no page has a fault that axe finds, nor an error, in ${colorScheme}`, async () => {
    const { context, page, errors } = await openPage({ colorScheme, bypassCSP: true });
    await page.setInputFiles("#files", pictures(2));
    await stored(page, 2);
    for (const path of PAGES) {
      if (path !== "/") await page.goto(`${url}${path}`);
      await page.waitForSelector("h1");
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run());
      const found = violations.map((each) => `${path}: ${each.id}: ${each.nodes.map((node) => node.html)}`);
      assert.deepEqual(found, []);
    }
    assert.deepEqual(errors, []);
    await context.close();
  });
}

test("on a phone nothing is wider than the screen", async () => {
  const { context, page } = await openPage({ viewport: PHONE });
  await page.setInputFiles("#files", [...pictures(1), newFile(`${"a-long-name-".repeat(12)}.svg`)]);
  await stored(page, 2);
  for (const path of PAGES) {
    if (path !== "/") await page.goto(`${url}${path}`);
    await page.waitForSelector("h1");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= PHONE.width, `${path} is ${wide} wide`);
  }
  await context.close();
});
