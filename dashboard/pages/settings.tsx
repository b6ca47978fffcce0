import { useState } from 'preact/hooks';
import { call, type Page, type Setting, type Token, useApi } from '../api.ts';
import { dateTime } from '../format.ts';
import { setTheme, theme } from '../theme.ts';
import { Act, Badge, Card, Empty, Show, Table } from '../ui.tsx';

/** What the node was started with; the owner changes it on the machine itself. */
function Configuration() {
  const settings = useApi<Page<Setting>>('/settings', []);
  return (
    <Card title="Configuration" wide>
      <p class="note">
        In force since the start. <code>npx blocktree config set KEY VALUE</code> changes one for the next.
      </p>
      <Show from={settings}>
        {({ items }) => (
          <Table label="Configuration" head={['Setting', 'Value', 'What it is']}>
            {items.map((one) => (
              <tr key={one.name}>
                <td class="whole">
                  <code>{one.name}</code>
                </td>
                <td class="path">
                  {one.value === '' ? <span class="note">none</span> : one.value}
                  {!one.isDefault && (
                    <>
                      {' '}
                      <Badge tone="good">set</Badge>
                    </>
                  )}
                </td>
                <td class="note">{one.help}</td>
              </tr>
            ))}
          </Table>
        )}
      </Show>
    </Card>
  );
}

function Backup() {
  return (
    <Card title="Backup" wide>
      <ol class="steps">
        <li>
          <code>npx blocktree wallet backup</code> prints 24 words. Who has them has the account: write them
          down and keep them offline.
        </li>
        <li>
          <code>npx blocktree init --restore</code> on another machine asks for them; <code>tpm rebind</code>{' '}
          binds its chip to the account.
        </li>
        <li>
          Files at the hosts need no backup: <code>npx blocktree recover</code> finds them again from the same
          words.
        </li>
        <li>
          Fragments that are kept for others need no backup: what is lost is rebuilt at other hosts, and costs
          collateral.
        </li>
      </ol>
    </Card>
  );
}

export function Settings() {
  const tokens = useApi<Page<Token>>('/tokens', []);
  const [name, setName] = useState('');
  const [role, setRole] = useState('viewer');
  const [created, setCreated] = useState<string>();
  const [look, setLook] = useState(theme());
  return (
    <div class="grid">
      <Card title="Appearance">
        <fieldset class="choices">
          <legend class="hidden">Theme</legend>
          {(['system', 'light', 'dark'] as const).map((value) => (
            <label key={value}>
              <input
                type="radio"
                name="theme"
                checked={look === value}
                onChange={() => {
                  setTheme(value);
                  setLook(value);
                }}
              />
              {value === 'system' ? 'As the system' : value === 'light' ? 'Light' : 'Dark'}
            </label>
          ))}
        </fieldset>
      </Card>
      <Card title="This browser">
        <p class="note">Logging out ends this session. “blocktree status” prints a new login link.</p>
        <Act
          label="Log out"
          run={() => call('DELETE', '/sessions/current').then(() => location.assign('/'))}
        />
      </Card>
      <Card title="Tokens for programs" wide>
        <Show from={tokens}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No tokens">A program logs in with a token: a name, a role, revoked here.</Empty>
            ) : (
              <Table label="Tokens" head={['Name', 'Role', 'Created', '']}>
                {items.map((token) => (
                  <tr key={token.id}>
                    <td>
                      {token.name}
                      {token.local && <div class="note">for “npx blocktree” on this machine</div>}
                    </td>
                    <td>{token.role}</td>
                    <td>{dateTime(token.createdAt)}</td>
                    <td class="actions">
                      <Act
                        danger
                        label={token.local ? 'Renew' : 'Revoke'}
                        confirm={token.local ? 'Revoke and make another' : 'Revoke for good'}
                        run={() => call('DELETE', `/tokens/${token.id}`).then(tokens.reload)}
                      />
                    </td>
                  </tr>
                ))}
              </Table>
            )
          }
        </Show>
        {created !== undefined && (
          <p class="path" aria-live="polite">
            Shown once: <code>{created}</code>
          </p>
        )}
        <form class="form inline" onSubmit={(event) => event.preventDefault()}>
          <label>
            Name
            <input value={name} maxLength={60} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
          <label>
            Role
            <select value={role} onChange={(event) => setRole(event.currentTarget.value)}>
              <option value="viewer">viewer: reads</option>
              <option value="operator">operator: all but spending</option>
              <option value="owner">owner</option>
            </select>
          </label>
          <Act
            label="Create"
            disabled={name.trim() === ''}
            run={() =>
              call<{ token: string }>('POST', '/tokens', { name: name.trim(), role }).then(({ token }) => {
                setCreated(token);
                setName('');
                tokens.reload();
              })
            }
          />
        </form>
      </Card>
      <Backup />
      <Configuration />
    </div>
  );
}
