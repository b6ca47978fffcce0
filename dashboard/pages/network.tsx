import { type NetworkNode, type Page, useApi } from '../api.ts';
import { Amount, Badge, Bar, Card, Id, Show, Table } from '../ui.tsx';

export function Network() {
  const nodes = useApi<Page<NetworkNode>>('/ledger/nodes?limit=200', ['peer', 'audit']);
  return (
    <Card title="Nodes" wide>
      <Show from={nodes}>
        {({ items }) => (
          <Table label="Nodes" head={['Node', 'Link', 'Role', 'Price a GiB and period', 'Score']}>
            {items.map((node) => (
              <tr key={node.nodeId}>
                <td>
                  <Id id={node.nodeId} /> {node.self && <Badge tone="quiet">this node</Badge>}
                </td>
                <td>
                  {node.self ? (
                    '–'
                  ) : node.connected ? (
                    <Badge tone="good">connected</Badge>
                  ) : (
                    <Badge tone="warn">away</Badge>
                  )}
                </td>
                <td>{node.committeeMember ? 'committee' : 'host'}</td>
                <td>
                  {node.offer === null ? 'no offer' : <Amount grains={node.offer.priceGrainsPerGiBPeriod} />}
                </td>
                <td class="score">
                  {node.score === null || node.self ? (
                    '–'
                  ) : (
                    <div
                      title={Object.entries(node.scoreFactors ?? {})
                        .map(([name, value]) => `${name} ${value.toFixed(2)}`)
                        .join(' × ')}
                    >
                      <Bar part={node.score} label={`Score ${node.score.toFixed(2)}`} />
                      <span class="note">
                        {node.score.toFixed(2)}
                        {node.suspended !== null && ` · no new fragments: ${node.suspended}`}
                      </span>
                      <span class="hidden">
                        {Object.entries(node.scoreFactors ?? {})
                          .map(([name, value]) => `${name} ${value.toFixed(2)}`)
                          .join(', ')}
                      </span>
                    </div>
                  )}
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Show>
    </Card>
  );
}
