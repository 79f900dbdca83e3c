/** A worker that computes the SHA-256 of files, so that the page stays responsive. */

self.addEventListener("message", async (/** @type {MessageEvent<{id: number, file: File}>} */ event) => {
  const { id, file } = event.data;
  try {
    const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    const sha256 = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
    self.postMessage({ id, sha256, error: "" });
  } catch (error) {
    self.postMessage({ id, sha256: "", error: error instanceof Error ? error.name : "unknown" });
  }
});
