/** What the upload page does when the service, the store or the network is away. It starts the service itself, to kill it. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { countOf, note, openPage as open, pictures, searchable, stored } from "./browser.mjs";
import { Service } from "./service.mjs";

const service = new Service();
before(() => service.start());
after(() => service.kill());

/** @param {import("node:test").TestContext} t */
const openPage = (t) => open(t, { at: service.url });

test("the service is killed in mid-upload: the page waits for it, and finishes by itself", async (t) => {
  const { page } = await openPage(t);
  const third = countOf(page, "/files/", 3);
  await page.setInputFiles("#files", pictures(30));
  await third;
  await service.kill();
  await note(page, "The service does not answer.").waitFor();
  await service.start();
  await searchable(page, 30);
  assert.equal(await note(page, "The service does not answer.").isVisible(), false);
});

test("the service is killed while the last file is sent: it is no failure of the file", async (t) => {
  const { page } = await openPage(t);
  let ready = 0;
  await page.route("**/files/**", async (route) => {
    if (!ready) await service.kill();
    await route.continue();
  });
  await page.route("**/readyz", async (route) => {
    await service.start();
    await route.abort();
    ready += 1;
  });
  await page.setInputFiles("#files", pictures(1));
  await searchable(page, 1);
  assert.equal(ready, 1);
});

test("an upload whose last answer was lost is neither a failure nor a duplicate", async (t) => {
  const { page } = await openPage(t);
  let lost = 0;
  await page.route("**/api/upload-complete", async (route) => {
    lost += 1;
    await route.fetch();
    await route.abort("connectionreset");
  });
  await page.setInputFiles("#files", pictures(1));
  await searchable(page, 1);
  assert.equal(await page.locator('.file[data-state="ready"]').count(), 1);
  assert.equal(lost, 1);
});

test("while the store is away, no file fails", async (t) => {
  const { page } = await openPage(t);
  let refused = 0;
  await page.route("**/files/**", (route) =>
    (refused += 1) > 12 ? route.continue() : route.abort("connectionrefused"),
  );
  await page.setInputFiles("#files", pictures(4));
  await note(page, "The service does not answer.").waitFor();
  await searchable(page, 4);
});

test("a file that fails while others get through is given up, and retried by hand", async (t) => {
  const { page } = await openPage(t);
  let bad = "";
  await page.route("**/files/**", (route) => {
    bad ||= route.request().headers()["x-amz-checksum-sha256"] ?? "";
    const isBad = route.request().headers()["x-amz-checksum-sha256"] === bad;
    return isBad ? route.abort("connectionreset") : route.continue();
  });
  await page.setInputFiles("#files", pictures(6));
  await page.getByText("The connection failed. Check the network, then retry.").waitFor();
  await searchable(page, 5, 6);
  await page.unrouteAll();
  await page.getByRole("button", { name: "Retry 1 failed" }).click();
  await searchable(page, 6);
});

test("429 stops all slots for the time that the server says, and is shown", async (t) => {
  const { page } = await openPage(t);
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
  await note(page, /asks to wait: going on in [123] s/).waitFor();
  await stored(page, 4);
  assert.equal(early, 0);
});

test("an address that has expired is asked for again", async (t) => {
  const { page } = await openPage(t);
  let expired = 2;
  await page.route("**/files/**", (route) => (expired-- > 0 ? route.fulfill({ status: 403 }) : route.continue()));
  await page.setInputFiles("#files", pictures(3));
  await stored(page, 3);
});

test("a cut connection is tried again; without a network the page waits", async (t) => {
  const { context, page } = await openPage(t);
  let cut = 2;
  await page.route("**/files/**", (route) => (cut-- > 0 ? route.abort("connectionreset") : route.continue()));
  await page.setInputFiles("#files", pictures(3));
  await stored(page, 3);
  await context.setOffline(true);
  await page.setInputFiles("#files", pictures(2));
  await note(page, "No connection.").waitFor();
  await context.setOffline(false);
  await stored(page, 5);
});
