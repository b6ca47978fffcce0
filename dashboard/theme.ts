export type Theme = 'system' | 'light' | 'dark';

const KEY = 'blocktree-theme';

export function theme(): Theme {
  const stored = localStorage.getItem(KEY);
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}

export function setTheme(value: Theme): void {
  if (value === 'system') localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, value);
  applyTheme();
}

/** What the document shows: the stored choice, or what the system prefers. */
export function applyTheme(): void {
  const choice = theme();
  const dark =
    choice === 'dark' || (choice === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
}
