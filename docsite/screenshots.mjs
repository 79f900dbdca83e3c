/** Looks at the pages of a service in Chromium, and writes a picture of each: SERVICE_URL, SERVICE_KEY, PICTURES. */

import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const { chromium } = createRequire(new URL("../tests/node/package.json", import.meta.url))("playwright-core");
const { SERVICE_URL: url, SERVICE_KEY: key, PICTURES: pictures, CHROMIUM } = process.env;
const [, , images] = process.argv;

const args = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: CHROMIUM ?? "/usr/bin/chromium", args });
const page = await browser.newPage({ viewport: { width: 1100, height: 760 } });

/** @param {string} name */
const shoot = (name, fullPage = false) => page.screenshot({ path: join(images, `service-${name}.png`), fullPage });

await page.goto(`${url}/login`);
await page.waitForSelector("input[name=key]");
await shoot("login");
await page.fill("input[name=key]", key);
await page.click("button.primary");
await page.waitForSelector(".drop");
await page.setInputFiles("#files", readdirSync(pictures).map((name) => join(pictures, name))); // prettier-ignore
await page.getByText("Ready to search").first().waitFor();
await page.locator('.file[data-state="jobFailed"]:visible').waitFor();
await page.getByText("Open (0)").waitFor();
await shoot("upload");
await page.goto(`${url}/gallery`);
await page.locator(".card img").nth(9).waitFor();
await page.waitForLoadState("networkidle");
await shoot("gallery");
await page.locator(".card img").first().click();
await page.waitForSelector(".fields");
await page.waitForLoadState("networkidle");
await shoot("asset");
const { assets } = await (await page.request.get(`${url}/api/assets`)).json();
const headers = { authorization: `Bearer ${key}` };
const removed = assets.filter((asset) => asset.thumbnailUrl).slice(0, 3);
for (const { id } of removed) await page.request.delete(`${url}/api/assets/${id}`, { headers });
await page.goto(`${url}/deleted`);
await page.locator(".card img").nth(2).waitFor();
await page.waitForLoadState("networkidle");
await shoot("deleted");
for (const { id } of removed) await page.request.post(`${url}/api/assets/${id}/restore`, { headers });
await page.goto(`${url}/failed-jobs`);
await page.waitForSelector("table");
await shoot("failed-jobs");
await page.goto(`${url}/status`);
await page.waitForSelector("svg");
await page.waitForTimeout(12_000); // the charts need some values
await shoot("status", true);
await page.goto(`${url}/batches`);
await page.waitForSelector("table");
await page.waitForLoadState("networkidle");
await shoot("batches");
await page.goto(`${url}/keys`);
for (const name of ["photo desk", "nightly build"]) {
  await page.fill("input[name=name]", name);
  await page.click("button.primary");
  await page.getByRole("row", { name }).waitFor();
}
await page.locator(".new-key code").evaluate((made) => (made.textContent = `sk_live_${"0".repeat(32)}`));
await shoot("keys");
await page.emulateMedia({ colorScheme: "dark" });
await page.setViewportSize({ width: 390, height: 760 });
await page.goto(`${url}/gallery`);
await page.locator(".card img").nth(5).waitFor();
await page.waitForLoadState("networkidle");
await shoot("phone");
await browser.close();
