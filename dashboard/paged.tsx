import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Page, useApi } from './api.ts';
import { Show } from './ui.tsx';

/**
 * A list page by page. The first page follows what happens; older ones stand still, since nothing is added to the past.
 * `path` may have a query; `name` is what the buttons turn the pages of.
 */
export function Paged<T>({
  path,
  name,
  refreshOn = ['block'],
  children,
}: {
  path: string | undefined;
  name: string;
  refreshOn?: readonly string[];
  children: (items: readonly T[]) => ComponentChildren;
}) {
  /** Cursors of the pages that were turned, the newest page having none. */
  const [turned, setTurned] = useState<readonly string[]>([]);
  // Another list begins at its first page.
  useEffect(() => setTurned([]), [path]);
  const cursor = turned.at(-1);
  const address =
    path === undefined || cursor === undefined
      ? path
      : `${path}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`;
  const page = useApi<Page<T>>(address, cursor === undefined ? refreshOn : []);
  // While a page is fetched the one before stays, so that nothing jumps.
  const shown = useRef<{ readonly path: string | undefined; readonly page: Page<T> }>(undefined);
  if (page.data !== undefined) shown.current = { path, page: page.data };
  const before = shown.current?.path === path ? shown.current?.page : undefined;
  const waits = page.data === undefined && before !== undefined && page.error === undefined;
  return (
    <Show from={waits ? { ...page, data: before } : page}>
      {({ items, nextCursor }) => (
        <>
          <div class={waits ? 'waits' : undefined} aria-busy={waits}>
            {children(items)}
          </div>
          {(turned.length > 0 || nextCursor !== null) && (
            <div class="pages" role="group" aria-label={`Pages of ${name}`}>
              <button
                type="button"
                disabled={turned.length === 0}
                onClick={() => setTurned((pages) => pages.slice(0, -1))}
              >
                ← Back
              </button>
              <span class="note" aria-live="polite">
                page {turned.length + 1}
              </span>
              <button
                type="button"
                disabled={nextCursor === null || waits}
                onClick={() => nextCursor !== null && setTurned((pages) => [...pages, nextCursor])}
              >
                More →
              </button>
            </div>
          )}
        </>
      )}
    </Show>
  );
}
