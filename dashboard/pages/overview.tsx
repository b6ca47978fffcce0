import {
  type Alert,
  type Audit,
  type Earnings,
  type Page,
  type Peer,
  type Status,
  useApi,
  useLive,
} from '../api.ts';
import { bytes, duration, withShortIds } from '../format.ts';
import { Amount, Badge, Bar, Card, Empty, Figure, Show } from '../ui.tsx';

export function earnedSince(earnings: Earnings, sinceMs: number): bigint {
  return earnings.byPeriod
    .filter(({ startedAt }) => startedAt !== null && Date.parse(startedAt) >= sinceMs)
    .reduce((sum, { totalGrains }) => sum + BigInt(totalGrains), 0n);
}

const BARS = 48;
/** Fewer stand at the right, where the newest is, with room for those before. */
const BARS_MIN = 24;
const BAR_HEIGHT = 44;

/** The last periods at a glance; the earnings page has the figures. */
function Glance({ earnings }: { earnings: Earnings }) {
  const shown = earnings.byPeriod.slice(-BARS).map(({ period, totalGrains }) => ({
    period,
    value: Math.max(0, Number(totalGrains)),
  }));
  const top = Math.max(...shown.map(({ value }) => value));
  if (shown.length < 2 || top === 0) return null;
  const places = Math.max(BARS_MIN, shown.length);
  return (
    <a href="/earnings" class="glance" aria-label={`Earnings of the last ${shown.length} periods`}>
      <svg viewBox={`0 0 ${places * 10} ${BAR_HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {shown.map(({ period, value }, i) => {
          const height = Math.max(1.5, (value / top) * BAR_HEIGHT);
          const x = (places - shown.length + i) * 10 + 1.5;
          return <rect key={period} x={x} y={BAR_HEIGHT - height} width="7" height={height} rx="1" />;
        })}
      </svg>
      <span class="note">the last {shown.length} periods</span>
    </a>
  );
}

function traffic(peers: readonly Peer[]): string {
  const sum = (of: (peer: Peer) => number): string =>
    bytes(peers.reduce((total, peer) => total + of(peer), 0));
  return `${sum(({ bytesIn }) => bytesIn)} in, ${sum(({ bytesOut }) => bytesOut)} out`;
}

export function Overview() {
  const status = useApi<Status>('/status', ['block', 'peer']);
  const earnings = useApi<Earnings>('/host/earnings');
  const wallet = useApi<{ balanceGrains: string; waiting: number }>('/wallet');
  const alerts = useApi<Page<Alert>>('/alerts', ['alert', 'peer']);
  const audits = useApi<Page<Audit>>('/host/audits', ['audit']);
  const peers = useApi<Page<Peer>>('/peers');
  const live = useLive();
  const now = new Date();
  const today = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const month = new Date(now.getFullYear(), now.getMonth(), 1).getTime();
  return (
    <div class="grid">
      <Card title="Earnings" wide>
        <Show from={earnings}>
          {(data) => (
            <>
              <dl class="figures big">
                <Figure label="Today">
                  <Amount grains={earnedSince(data, today)} />
                </Figure>
                <Figure label="This month">
                  <Amount grains={earnedSince(data, month)} />
                </Figure>
                <Figure label="Month ahead" note="from the contracts that live now">
                  <Amount grains={data.projectedMonthGrains} />
                </Figure>
                <Figure label="Balance">
                  {wallet.data === undefined ? '…' : <Amount grains={wallet.data.balanceGrains} />}
                </Figure>
              </dl>
              <Glance earnings={data} />
            </>
          )}
        </Show>
      </Card>
      <Card title="What needs attention">
        <Show from={alerts}>
          {({ items }) =>
            live === 'offline' ? (
              <Empty title="The node does not answer">
                Start it again; until then nobody here knows what else there is.
              </Empty>
            ) : items.length === 0 ? (
              <Empty title="Nothing. All is well.">
                When something is wrong, it stands here with what to do.
              </Empty>
            ) : (
              <ul class="alerts" aria-live="polite">
                {items.map((alert) => (
                  <li key={alert.id}>
                    <Badge
                      tone={
                        alert.severity === 'critical'
                          ? 'bad'
                          : alert.severity === 'warning'
                            ? 'warn'
                            : 'quiet'
                      }
                    >
                      {alert.severity}
                    </Badge>
                    <div>
                      <strong title={alert.title}>{withShortIds(alert.title)}</strong>
                      <p>{withShortIds(alert.whatToDo)}</p>
                    </div>
                  </li>
                ))}
              </ul>
            )
          }
        </Show>
      </Card>
      <Card title="Storage for others">
        <Show from={status}>
          {({ storage }) => (
            <>
              <p class="lead">
                {bytes(storage.usedBytes)} <span class="unit">of {bytes(storage.offeredBytes)} offered</span>
              </p>
              <Bar
                part={storage.offeredBytes === 0 ? 0 : storage.usedBytes / storage.offeredBytes}
                label="Storage used"
              />
              <p class="note">
                <a href="/storage">Volumes, offer and contracts</a>
              </p>
            </>
          )}
        </Show>
      </Card>
      <Card title="Ledger">
        <Show from={status}>
          {(data) => (
            <dl class="figures">
              <Figure label="Height" note={`of ${data.chainName}`}>
                {data.height.toLocaleString('en')}
              </Figure>
              <Figure label="Finality">
                {data.finalityMs === null ? '–' : `${Math.round(data.finalityMs)} ms`}
              </Figure>
              <Figure label="Period">{data.period}</Figure>
              <Figure label="Committee">
                {data.committee.size} seats{data.committee.member ? ', this is one' : ''}
              </Figure>
            </dl>
          )}
        </Show>
      </Card>
      <Card title="This node">
        <Show from={status}>
          {(data) => {
            const done = audits.data?.items ?? [];
            const good = done.filter(({ ok }) => ok).length;
            return (
              <dl class="figures">
                <Figure label="Up for">{duration(data.uptimeMs)}</Figure>
                <Figure label="Peers">{data.peerCount}</Figure>
                <Figure label="Traffic" note="over the links that are open">
                  {peers.data === undefined ? '…' : traffic(peers.data.items)}
                </Figure>
                <Figure label="Audits of my hosts">
                  {done.length === 0 ? '–' : `${((100 * good) / done.length).toFixed(1)} % good`}
                </Figure>
              </dl>
            );
          }}
        </Show>
      </Card>
    </div>
  );
}
