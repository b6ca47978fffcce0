/** CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4), eight bytes a step (Kounavis and Berry, "slicing-by-8", 2005). */

const POLYNOMIAL = 0x82f63b78;

const TABLES: readonly Int32Array[] = (() => {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256));
  const [first] = tables as [Int32Array];
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    first[byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let table = 1; table < 8; table++) {
      const before = (tables[table - 1] as Int32Array)[byte] as number;
      (tables[table] as Int32Array)[byte] = (before >>> 8) ^ (first[before & 255] as number);
    }
  }
  return tables;
})();

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];
const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** The checksum of `bytes[from, to)` as an unsigned number. */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let crc = -1;
  let at = from;
  const step = (end: number): void => {
    for (; at < end; at++) crc = (crc >>> 8) ^ (T0[(crc ^ (bytes[at] as number)) & 255] as number);
  };
  // Words are read where they are aligned; what is left on both sides goes byte by byte.
  if (LITTLE_ENDIAN && to - from >= 16) {
    step(from + ((4 - ((bytes.byteOffset + from) & 3)) & 3));
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (to - at) >> 2);
    const pairs = words.length & ~1;
    for (let i = 0; i < pairs; i += 2) {
      const low = crc ^ (words[i] as number);
      const high = words[i + 1] as number;
      crc =
        (T7[low & 255] as number) ^
        (T6[(low >>> 8) & 255] as number) ^
        (T5[(low >>> 16) & 255] as number) ^
        (T4[low >>> 24] as number) ^
        (T3[high & 255] as number) ^
        (T2[(high >>> 8) & 255] as number) ^
        (T1[(high >>> 16) & 255] as number) ^
        (T0[high >>> 24] as number);
    }
    at += pairs * 4;
  }
  step(to);
  return ~crc >>> 0;
}
