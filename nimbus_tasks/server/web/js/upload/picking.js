/** Files that people drop, choose or paste, with the folders they are in. */

/** @typedef {{file: File | null, path: string, handle: FileSystemFileHandle | null}} Picked file: null where it cannot be read */

/**
 * @param {DataTransfer} transfer of a drop or a paste
 * @returns {AsyncGenerator<Picked>}
 */
export async function* pickedFrom(transfer) {
  // The list is emptied when the event handler returns: what it gives must be taken at once.
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => ({
      handle: handleOf(item),
      entry: item.webkitGetAsEntry?.() ?? null,
      file: item.getAsFile(),
    }));
  for (const { handle, entry, file } of entries) {
    if (entry?.isDirectory) yield* filesBelow(/** @type {FileSystemDirectoryEntry} */ (entry));
    else if (file) yield { file, path: pathOf(file), handle: await fileHandle(handle) };
  }
}

/**
 * @param {FileList} files of an `<input type=file>`; it is emptied when the input is
 * @returns {Picked[]}
 */
export function pickedByInput(files) {
  return [...files].map((file) => ({ file, path: file.webkitRelativePath || pathOf(file), handle: null }));
}

/**
 * @param {FileSystemDirectoryEntry} folder
 * @returns {AsyncGenerator<Picked>}
 */
async function* filesBelow(folder) {
  const reader = folder.createReader();
  for (;;) {
    /** @type {FileSystemEntry[] | null} A folder is read in parts, up to an empty one. */
    const part = await new Promise((resolve) => reader.readEntries(resolve, () => resolve(null)));
    if (!part) yield { file: null, path: pathTo(folder), handle: null };
    if (!part?.length) return;
    for (const entry of part) {
      if (entry.name.startsWith(".")) continue; // .DS_Store and its like
      if (entry.isDirectory) {
        yield* filesBelow(/** @type {FileSystemDirectoryEntry} */ (entry));
        continue;
      }
      /** @type {File | null} */
      const file = await new Promise((resolve) =>
        /** @type {FileSystemFileEntry} */ (entry).file(resolve, () => resolve(null)),
      );
      yield { file, path: pathTo(entry), handle: null };
    }
  }
}

/** @param {FileSystemEntry} entry */
function pathTo(entry) {
  return entry.fullPath.replace(/^\//, "");
}

/**
 * What a browser knows a file's type by is its name, and not each one knows each: Chromium has none for IMG_1.HEIC.
 * @param {File} file
 * @returns {string} MIME type
 */
export function typeOf(file) {
  const ending = file.name.toLowerCase().split(".").pop() ?? "";
  return file.type || TYPES[ending] || "application/octet-stream";
}

/** @type {Record<string, string>} */
const TYPES = { avif: "image/avif", heic: "image/heic", heif: "image/heif", tif: "image/tiff", tiff: "image/tiff", webp: "image/webp" }; // prettier-ignore

/** @param {DataTransferItem} item */
function handleOf(item) {
  // Chromium only; the type is not in TypeScript's library.
  const getHandle = /** @type {any} */ (item).getAsFileSystemHandle;
  return getHandle ? /** @type {Promise<any>} */ (getHandle.call(item)).catch(() => null) : Promise.resolve(null);
}

/**
 * @param {Promise<any>} handle
 * @returns {Promise<FileSystemFileHandle | null>}
 */
async function fileHandle(handle) {
  const found = await handle;
  return found?.kind === "file" ? found : null;
}

/**
 * @param {File} file
 * @returns {string} pasted pictures are all called image.png: the time tells them apart
 */
function pathOf(file) {
  return file.name || `pasted-${file.lastModified}`;
}
