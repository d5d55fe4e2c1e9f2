// A ZIP archive of files as they are, without compression (PKWARE's APPNOTE 6.3.10): pictures are compressed.

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});
/** sizes and positions have 32 bits */
const MOST_BYTES = 0xffffffff;
/** names are UTF-8 */
const UTF8_NAMES = 0x0800;
const VERSION = 20;

function crcOf(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Return numbers as little-endian bytes; each is a pair of a value and its number of bytes. */
function bytesOf(pairs) {
  const bytes = [];
  for (let [value, count] of pairs) {
    for (; count > 0; count--) {
      bytes.push(value & 0xff);
      value = Math.floor(value / 256);
    }
  }
  return Uint8Array.from(bytes);
}

/** Return a time as ZIP keeps it: two seconds, minutes, hours; day, month, years since 1980. */
function stampOf(time) {
  const clock = (time.getHours() << 11) | (time.getMinutes() << 5) | (time.getSeconds() >> 1);
  const day = ((time.getFullYear() - 1980) << 9) | ((time.getMonth() + 1) << 5) | time.getDate();
  return [[clock, 2], [day, 2]];
}

/**
 * Return an archive as a Blob.
 *
 * @param files each {name, content}; the content is a Blob.
 */
export async function zipOf(files, time = new Date()) {
  const parts = [], directory = [];
  let position = 0;
  for (const { name, content } of files) {
    const encoded = new TextEncoder().encode(name);
    const crc = crcOf(new Uint8Array(await content.arrayBuffer()));
    const about = [
      [VERSION, 2], [UTF8_NAMES, 2], [0, 2], ...stampOf(time), [crc, 4], [content.size, 4], [content.size, 4],
      [encoded.length, 2], [0, 2],
    ];
    const head = bytesOf([[0x04034b50, 4], ...about]);
    directory.push(bytesOf([
      [0x02014b50, 4], [VERSION, 2], ...about, [0, 2], [0, 2], [0, 2], [0, 4], [position, 4],
    ]), encoded);
    parts.push(head, encoded, content);
    position += head.length + encoded.length + content.size;
    if (position > MOST_BYTES) throw new Error("The archive would be larger than 4 GB; remove some pages.");
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const end = bytesOf([
    [0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [length, 4], [position, 4], [0, 2],
  ]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
