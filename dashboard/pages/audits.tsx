import { type Audit, type Page, useApi } from '../api.ts';
import { clock, when } from '../format.ts';
import { Badge, Card, Empty, Id, Show, Table } from '../ui.tsx';

export function AuditsCard() {
  const audits = useApi<Page<Audit>>('/host/audits', ['audit']);
  return (
    <Card title="Audits of my hosts" wide>
      <Show from={audits}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No audits yet">
              Every period each host that keeps your fragments is asked for random pieces of them.
            </Empty>
          ) : (
            <>
              <div
                class="ticks"
                role="img"
                aria-label={`${items.filter(({ ok }) => ok).length} of ${items.length} audits were good`}
              >
                {items
                  .slice(0, 200)
                  .reverse()
                  .map((audit) => (
                    <i
                      key={`${audit.contractId}${audit.at}`}
                      class={audit.ok ? 'ok' : 'failed'}
                      title={`${clock(audit.at)} period ${audit.period}: ${audit.ok ? `${audit.latencyMs} ms` : audit.reason}`}
                    />
                  ))}
              </div>
              <Table label="Newest audits" lines head={['Time', 'Host', 'Period', 'Result']}>
                {items.slice(0, 12).map((audit) => (
                  <tr key={`${audit.contractId}${audit.at}`}>
                    <td>{when(audit.at)}</td>
                    <td class="main">
                      <Id id={audit.hostNodeId} />
                    </td>
                    <td class="end">
                      <span class="phone-only">period </span>
                      {audit.period}
                    </td>
                    <td class="side">
                      {audit.ok ? (
                        <Badge tone="good">kept, {audit.latencyMs} ms</Badge>
                      ) : (
                        <Badge tone="bad">{audit.reason ?? 'failed'}</Badge>
                      )}
                    </td>
                  </tr>
                ))}
              </Table>
            </>
          )
        }
      </Show>
    </Card>
  );
}
