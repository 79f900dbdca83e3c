/** Renders the extractions that standard input holds, as the Worker does: [HTML, Markdown] of each, null of what is no page. */

import { text } from "node:stream/consumers";

import { toHtml } from "../../../nimbus_tasks/gateway/worker/src/html.js";
import { toMarkdown } from "../../../nimbus_tasks/gateway/worker/src/markdown.js";
import { readPage } from "../../../nimbus_tasks/gateway/worker/src/page.js";

const rendered = JSON.parse(await text(process.stdin)).map((extraction) => {
  const page = readPage(extraction);
  return page && [toHtml(page), toMarkdown(page)];
});
process.stdout.write(JSON.stringify(rendered));
