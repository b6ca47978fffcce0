import { setTimeout as pause } from 'node:timers/promises';

/** Waits until `condition` holds; fails after `deadlineMs` with what was waited for. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  deadlineMs: number,
  what: string,
): Promise<void> {
  const endMs = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await pause(20);
  }
}
