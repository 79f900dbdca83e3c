/** The page with the store of deploy/compose.yaml: bytes go there from the browser, and everybody may read them there. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, pictures, searchable, url } from "../web/browser.mjs";

const store = process.env.STORE_URL ?? "";

test("files go straight from the page to the store, and are shown from there", async (t) => {
  const { page } = await openPage(t);
  const sent = [];
  page.on("request", (request) => request.method() === "PUT" && sent.push(new URL(request.url()).origin));
  await page.setInputFiles("#files", pictures(3));
  await searchable(page, 3);
  assert.deepEqual(sent, [store, store, store]);
  await page.goto(`${url}/gallery`);
  await page.waitForFunction(
    () => [...document.querySelectorAll(".card img")].filter((img) => img.naturalWidth).length === 3,
  );
  const address = await page.locator(".card img").first().getAttribute("src");
  assert.ok(address?.startsWith(store));
  for (const [method, path] of [
    ["PUT", address],
    ["GET", `${store}/uploads/`],
  ]) {
    const answer = await fetch(path, { method, body: method === "PUT" ? "x" : undefined });
    assert.equal(answer.status, 403);
  }
});
