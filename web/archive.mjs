/* Several files as one .zip, stored as they are: sounds are packed already. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? 0xedb88320 ^ (sum >>> 1) : sum >>> 1;
  return sum;
});

function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}

/** A .zip of [{ name, bytes }], names in UTF-8, without dates. Source: PKWARE APPNOTE 6.3, 4.3. */
export function zip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, bytes } of files) {
    const title = new TextEncoder().encode(name);
    // version 2.0, names in UTF-8, stored, 1 January 1980
    const about = [...short(20), ...short(0x800), ...short(0), ...short(0), ...short(0x21)];
    about.push(...long(checksum(bytes)), ...long(bytes.length), ...long(bytes.length));
    about.push(...short(title.length), ...short(0));
    const local = Uint8Array.from([0x50, 0x4b, 3, 4, ...about, ...title]);
    const place = [...short(0), ...short(0), ...short(0), ...long(0), ...long(offset)];
    directory.push(Uint8Array.from([0x50, 0x4b, 1, 2, ...short(20), ...about, ...place, ...title]));
    parts.push(local, bytes);
    offset += local.length + bytes.length;
  }
  const size = directory.reduce((sum, entry) => sum + entry.length, 0);
  const count = [...short(files.length), ...short(files.length)];
  const end = [0x50, 0x4b, 5, 6, ...long(0), ...count, ...long(size), ...long(offset), ...short(0)];
  return new Blob([...parts, ...directory, Uint8Array.from(end)], { type: "application/zip" });
}

const short = (value) => [value & 255, (value >>> 8) & 255];
const long = (value) => [...short(value & 0xffff), ...short(value >>> 16)];
