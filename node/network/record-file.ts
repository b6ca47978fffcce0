import { readFileSync, writeFileSync } from 'node:fs';
import type { RecordStore } from './directory.ts';

/** Node records in a file; losing it costs nothing but the time to hear them again. */
export function recordFile(path: string): RecordStore {
  return {
    load() {
      try {
        return (JSON.parse(readFileSync(path, 'utf8')) as string[]).map((text) =>
          Buffer.from(text, 'base64'),
        );
      } catch {
        return [];
      }
    },
    save: (records) =>
      writeFileSync(path, JSON.stringify(records.map((bytes) => Buffer.from(bytes).toString('base64')))),
  };
}
