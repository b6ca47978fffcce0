import { useEffect, useState } from 'preact/hooks';

/** Addresses of pages on the history API. */

const listeners = new Set<() => void>();

export function go(path: string): void {
  if (path !== location.pathname) history.pushState(null, '', path);
  for (const listener of listeners) listener();
  window.scrollTo(0, 0);
}

addEventListener('popstate', () => {
  for (const listener of listeners) listener();
});

export function usePath(): string {
  const [path, set] = useState(location.pathname);
  useEffect(() => {
    const update = (): void => set(location.pathname);
    listeners.add(update);
    return () => void listeners.delete(update);
  }, []);
  return path;
}

/** Turns clicks on links of this site into moves without a reload. */
export function interceptLinks(): void {
  document.addEventListener('click', (event) => {
    const link = (event.target as Element).closest('a');
    if (
      link === null ||
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey
    )
      return;
    // A link within a drawing (SVG) has no parts of its own to ask for.
    const target = new URL(link.getAttribute('href') ?? '', location.href);
    if (
      target.origin !== location.origin ||
      link.hasAttribute('download') ||
      link.hasAttribute('target') ||
      target.pathname.startsWith('/api/')
    )
      return;
    event.preventDefault();
    go(target.pathname);
    document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true });
  });
}
