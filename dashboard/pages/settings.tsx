import { useState } from 'preact/hooks';
import { call, type Page, type Token, useApi } from '../api.ts';
import { dateTime } from '../format.ts';
import { setTheme, theme } from '../theme.ts';
import { Act, Card, Empty, Show, Table } from '../ui.tsx';

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
                    <td>{token.name}</td>
                    <td>{token.role}</td>
                    <td>{dateTime(token.createdAt)}</td>
                    <td class="actions">
                      <Act
                        danger
                        label="Revoke"
                        confirm="Revoke for good"
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
    </div>
  );
}
