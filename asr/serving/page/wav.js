// Samples as a WAV file.

const HEADER_BYTES = 44;

/**
 * Return a WAV file, mono, 16 bits.
 * @param {Int16Array[]} pieces
 * @param {number} rate in Hz
 */
export function wavOf(pieces, rate) {
  const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  const letters = (place, text) => [...text].forEach((one, i) => header.setUint8(place + i, one.charCodeAt(0)));
  letters(0, "RIFF");
  header.setUint32(4, HEADER_BYTES - 8 + bytes, true);
  letters(8, "WAVEfmt ");
  header.setUint32(16, 16, true);        // bytes of this chunk
  header.setUint16(20, 1, true);         // PCM
  header.setUint16(22, 1, true);         // channels
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true);  // bytes a second
  header.setUint16(32, 2, true);         // bytes of a sample of all channels
  header.setUint16(34, 16, true);        // bits
  letters(36, "data");
  header.setUint32(40, bytes, true);
  return new Blob([header, ...pieces], { type: "audio/wav" });
}
