import { useState } from 'preact/hooks';
import { call, type Page, useApi, type Volume } from '../api.ts';
import { bytes } from '../format.ts';
import { Act, Bar, Card, Show } from '../ui.tsx';

const GIB = 2 ** 30;

function VolumeRow({ volume, reload }: { volume: Volume; reload: () => void }) {
  const [size, setSize] = useState(String(+(volume.limitBytes / GIB).toFixed(3)));
  const path = `/host/volumes/${volume.id}`;
  const change = (body: object) => call('PATCH', path, body).then(reload);
  return (
    <li class="volume">
      <strong class="path">{volume.folder}</strong>
      <Bar
        part={volume.limitBytes === 0 ? 0 : volume.usedBytes / volume.limitBytes}
        label={`Used of ${volume.folder}`}
        tone={volume.usedBytes > volume.limitBytes * 0.95 ? 'warn' : 'good'}
      />
      <span class="note">
        {bytes(volume.usedBytes)} of {bytes(volume.limitBytes)}, {volume.fragments} fragments
        {volume.draining && ' · draining: fragments move to the other volumes'}
      </span>
      <details>
        <summary aria-label={`Change ${volume.folder}`}>Change</summary>
        <form class="form" onSubmit={(event) => event.preventDefault()}>
          <label>
            Size in GiB
            <input
              inputMode="decimal"
              value={size}
              aria-invalid={!(Number(size) > 0)}
              onInput={(event) => setSize(event.currentTarget.value)}
            />
          </label>
          <div class="row">
            <Act
              label="Resize"
              disabled={!(Number(size) > 0)}
              run={() => change({ limitBytes: Math.floor(Number(size) * GIB) })}
            />
            {!volume.draining && (
              <Act danger label="Drain" confirm="Move all away" run={() => change({ draining: true })} />
            )}
            {volume.fragments === 0 && (
              <Act
                danger
                label="Remove"
                confirm="Remove for good"
                run={() => call('DELETE', path).then(reload)}
              />
            )}
          </div>
          <p class="note">Draining moves what is kept here to the other volumes; an empty one can go.</p>
        </form>
      </details>
    </li>
  );
}

export function VolumesCard() {
  const volumes = useApi<Page<Volume>>('/host/volumes', ['payment']);
  const [folder, setFolder] = useState('');
  const [size, setSize] = useState('100');
  return (
    <Card title="Volumes">
      <Show from={volumes}>
        {({ items }) => (
          <ul class="plain">
            {items.map((volume) => (
              <VolumeRow key={volume.id} volume={volume} reload={volumes.reload} />
            ))}
          </ul>
        )}
      </Show>
      <details>
        <summary>Add a volume</summary>
        <form class="form" onSubmit={(event) => event.preventDefault()}>
          <label>
            Folder on this machine
            <input
              value={folder}
              placeholder="/mnt/disk2/blocktree"
              onInput={(event) => setFolder(event.currentTarget.value)}
            />
          </label>
          <label>
            Size in GiB
            <input inputMode="decimal" value={size} onInput={(event) => setSize(event.currentTarget.value)} />
          </label>
          <Act
            label="Add"
            disabled={!folder.startsWith('/') || !(Number(size) > 0)}
            run={() =>
              call('POST', '/host/volumes', { folder, limitBytes: Math.floor(Number(size) * GIB) }).then(
                volumes.reload,
              )
            }
          />
        </form>
      </details>
    </Card>
  );
}
