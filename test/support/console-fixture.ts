import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Access } from '../../node/api/access.ts';
import type { Console } from '../../node/api/console.ts';
import { buildConsole, type ConsoleOptions } from '../../node/api/server.ts';
import { loadSettings } from '../../node/config/settings.ts';
import { createDevnet, nodeFolder } from '../../node/devnet/create.ts';
import { type BlocktreeNode, startNode } from '../../node/node.ts';
import { until } from './until.ts';

/** Development nodes in this process, and the console of the first, asked without a network or over a real one. */

export type Who = 'viewer' | 'operator' | 'owner' | 'nobody';

export class ConsoleFixture {
  readonly folder: string;
  readonly nodes: readonly BlocktreeNode[];
  readonly access: Access;
  readonly app: Console;
  readonly tokens: Readonly<Record<Exclude<Who, 'nobody'>, string>>;

  private constructor(
    folder: string,
    nodes: readonly BlocktreeNode[],
    access: Access,
    app: Console,
    tokens: ConsoleFixture['tokens'],
  ) {
    this.folder = folder;
    this.nodes = nodes;
    this.access = access;
    this.app = app;
    this.tokens = tokens;
  }

  /** Resolves when all nodes have claimed and offered. */
  static async start(count = 1, options: ConsoleOptions = {}): Promise<ConsoleFixture> {
    const folder = mkdtempSync(join(tmpdir(), 'blocktree-console-'));
    const linkPort = 30_000 + 20 * Math.floor(Math.random() * 100);
    const data = join(folder, 'devnet');
    await createDevnet(
      { folder: data, nodes: count, tpm: 'software', periodMs: 10_000, consolePort: 0, linkPort },
      () => undefined,
    );
    const nodes: BlocktreeNode[] = [];
    for (let n = 1; n <= count; n++) {
      const dataFolder = nodeFolder(data, n);
      const flags = count === 1 ? { 'link.port': '0', 'link.seeds': '' } : {};
      nodes.push(await startNode({ dataFolder, settings: loadSettings(dataFolder, flags), version: 'test' }));
    }
    const first = nodes[0] as BlocktreeNode;
    const access = await Access.open(first.options.dataFolder);
    const app = await buildConsole(first, access, options);
    await app.ready();
    const tokenOf = async (role: Exclude<Who, 'nobody'>) => (await access.createToken(role, role)).token;
    const tokens = {
      viewer: await tokenOf('viewer'),
      operator: await tokenOf('operator'),
      owner: await tokenOf('owner'),
    };
    const fixture = new ConsoleFixture(folder, nodes, access, app, tokens);
    await until(
      () => nodes.every(({ view }) => view.ownOffer() !== undefined),
      30_000,
      'claims and offers of all nodes',
    );
    return fixture;
  }

  get node(): BlocktreeNode {
    return this.nodes[0] as BlocktreeNode;
  }

  /** One request below /api/v1, without a network. */
  as(who: Who, method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    return this.app.inject({
      method: method as 'GET',
      url: `/api/v1${path}`,
      headers: { ...this.authorization(who), ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    });
  }

  authorization(who: Who): Record<string, string> {
    return who === 'nobody' ? {} : { authorization: `Bearer ${this.tokens[who]}` };
  }

  /** Listens on a free port of this machine; gives `http://127.0.0.1:PORT`. */
  listen(): Promise<string> {
    return this.app.listen({ host: '127.0.0.1', port: 0 });
  }

  async stop(): Promise<void> {
    await this.app.close();
    for (const node of this.nodes) await node.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
