import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { ConsoleFixture } from '../../test/support/console-fixture.ts';

let fixture: ConsoleFixture;
let text = '';
before(async () => {
  fixture = await ConsoleFixture.start();
  text = (await fixture.as('viewer', 'GET', '/metrics')).body;
});
after(() => fixture?.stop());

interface Panel {
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly w: number };
  readonly targets: readonly { readonly expr: string }[];
}
const { panels } = JSON.parse(readFileSync(new URL('grafana.json', import.meta.url), 'utf8')) as {
  panels: readonly Panel[];
};

test('the Grafana dashboard asks only for metrics and labels that this node gives', () => {
  for (const { title, targets } of panels) {
    assert(targets.length > 0, title);
    for (const { expr } of targets) {
      const [name] = /blocktree_\w+/.exec(expr) ?? assert.fail(`${title} asks for nothing of this node`);
      assert.match(text, new RegExp(`^${name}[ {]`, 'm'), `${title}: ${name}`);
      for (const [, label] of expr.matchAll(/[{,](\w+)[!=]/g))
        if (label !== 'instance')
          assert.match(text, new RegExp(`^${name}{.*${label}="`, 'm'), `${title}: ${label}`);
    }
  }
});

test('the Grafana dashboard shows every metric of the node’s own', () => {
  const own = [...text.matchAll(/^# TYPE (blocktree_(?!process_|nodejs_)\w+)/gm)].map(([, name]) => name);
  const asked = JSON.stringify(panels);
  // Position within consensus says something to those who look into a fault, and nothing as a plot.
  const unplotted = ['blocktree_ledger_view', 'blocktree_ledger_period'];
  assert(own.length > 10);
  assert.deepEqual(
    own.filter((name) => name !== undefined && !asked.includes(name)).sort(),
    unplotted.sort(),
  );
});

test('metrics agree with the API to the grain that a float holds', async () => {
  const { balanceGrains } = (await fixture.as('viewer', 'GET', '/wallet')).json();
  const shown = Number(/^blocktree_wallet_balance_acorns (\S+)$/m.exec(text)?.[1]);
  assert.equal(shown, Number(balanceGrains) / 1e9);
  const alerts = (await fixture.as('viewer', 'GET', '/alerts')).json().items as { severity: string }[];
  for (const severity of ['info', 'warning', 'critical'])
    assert.match(
      text,
      new RegExp(
        `^blocktree_alerts{severity="${severity}"} ${alerts.filter((one) => one.severity === severity).length}$`,
        'm',
      ),
    );
});
