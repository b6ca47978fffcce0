import type { RouteOptions } from 'fastify';

/** What routes there are: so that none is without a rule, and so that a wrong method is told apart from a wrong path. */

export interface RouteEntry {
  readonly method: string;
  /** As it was registered, with parameters. */
  readonly url: string;
  readonly role: string | undefined;
}

interface RouteSource {
  addHook(name: 'onRoute', hook: (route: RouteOptions) => void): unknown;
}

export class RouteTable {
  readonly #routes: (RouteEntry & { readonly pattern: RegExp })[] = [];

  /** Notes every route that is registered from now on below `base`. Throws for one that does not say who may call it. */
  constructor(app: RouteSource, base: string, isExempt: (url: string) => boolean) {
    app.addHook('onRoute', ({ method, url, config }) => {
      if (!url.startsWith(`${base}/`) || isExempt(url)) return;
      const role = config?.role;
      if (role === undefined) throw new Error(`the route ${method} ${url} does not say who may call it`);
      for (const one of [method].flat())
        this.#routes.push({ method: one, url, role, pattern: patternOf(url) });
    });
  }

  list(): readonly RouteEntry[] {
    return this.#routes.map(({ method, url, role }) => ({ method, url, role }));
  }

  /** The methods that a path answers to; empty where there is nothing. */
  methodsOf(path: string): readonly string[] {
    return [...new Set(this.#routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method))];
  }
}

/** `:name` is one part of a path, a closing `*` all that follows. */
function patternOf(url: string): RegExp {
  const parts = url.split('/').map((part) => {
    if (part === '*') return '.*';
    if (part.startsWith(':')) return '[^/]+';
    return part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('/')}$`);
}
