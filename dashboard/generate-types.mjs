// Writes dashboard/generated/api.ts from openapi.yaml: for each operation its query, body and answer.
// With `--check` only says whether the file would differ. The same document always gives the same text.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const source = new URL('../openapi.yaml', import.meta.url);
const target = fileURLToPath(new URL('generated/api.ts', import.meta.url));
const PREFIX = '/api/v1';
const METHODS = ['get', 'head', 'put', 'post', 'patch', 'delete'];

const document = parse(readFileSync(source, 'utf8'));
const schemas = document.components?.schemas ?? {};

/** A property's name, quoted where it is no identifier. */
function key(name) {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

/** The name of a schema that stands apart: its title, for references are numbered. */
function named(reference) {
  const name = reference.split('/').at(-1);
  return schemas[name]?.title ?? name.replace(/\W/g, '_');
}

function comment(schema, indent) {
  const text = schema.description?.replaceAll('*/', '* /').trim();
  return text ? `${indent}/** ${text} */\n` : '';
}

/** The TypeScript type of a JSON schema; throws on one it cannot express, rather than to say less than it does. */
function typeOf(schema, indent = '') {
  if (schema.$ref !== undefined) return named(schema.$ref);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined)
    return [...new Set(alternatives.map((one) => typeOf(one, indent)))].join(' | ');
  if (Array.isArray(schema.type))
    return schema.type.map((type) => typeOf({ ...schema, type }, indent)).join(' | ');
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'integer':
    case 'number':
      return 'number';
    case 'array':
      return `readonly (${typeOf(schema.items ?? {}, indent)})[]`;
    case 'object': {
      if (schema.properties !== undefined) return objectOf(schema, indent);
      const pattern = Object.values(schema.patternProperties ?? {})[0];
      const value = pattern ?? schema.additionalProperties;
      return `Readonly<Record<string, ${typeof value === 'object' ? typeOf(value, indent) : 'unknown'}>>`;
    }
    case undefined:
      return 'unknown';
    default:
      throw new Error(`generate-types: a schema of type ${schema.type} is not known here`);
  }
}

function objectOf({ properties, required = [] }, indent) {
  const inner = `${indent}  `;
  const lines = Object.entries(properties).map(([name, schema]) => {
    const optional = required.includes(name) ? '' : '?';
    return `${comment(schema, inner)}${inner}readonly ${key(name)}${optional}: ${typeOf(schema, inner)};\n`;
  });
  return lines.length === 0 ? 'Readonly<Record<string, never>>' : `{\n${lines.join('')}${indent}}`;
}

function json(holder) {
  return holder?.content?.['application/json']?.schema;
}

/** What one operation takes and gives back; `undefined` where that is not JSON. */
function operationOf({ parameters = [], requestBody, responses = {} }) {
  const asked = parameters.filter((parameter) => parameter.in === 'query');
  const good = Object.keys(responses).find((status) => status.startsWith('2'));
  const answer = good === undefined ? undefined : json(responses[good]);
  const query = {
    properties: Object.fromEntries(
      asked.map(({ name, schema, description }) => [name, { description, ...schema }]),
    ),
    required: asked.filter(({ required }) => required).map(({ name }) => name),
  };
  return [
    ...(asked.length > 0 ? [`    readonly query: ${objectOf(query, '    ')};`] : []),
    ...(json(requestBody) ? [`    readonly body: ${typeOf(json(requestBody), '    ')};`] : []),
    `    readonly answer: ${answer === undefined ? 'undefined' : typeOf(answer, '    ')};`,
  ];
}

const text = [
  '// Written by dashboard/generate-types.mjs from openapi.yaml; not for editing.',
  ...Object.entries(schemas).map(([name, schema]) => `\nexport type ${named(name)} = ${typeOf(schema)};`),
  '\n/** Every operation below /api/v1, by method and path. */',
  'export interface Operations {',
  ...Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method in item).flatMap((method) => [
      `  ${JSON.stringify(`${method.toUpperCase()} ${path.replace(PREFIX, '')}`)}: {`,
      ...operationOf(item[method]),
      '  };',
    ]),
  ),
  '}',
  '',
].join('\n');

if (!process.argv.includes('--check')) {
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
} else if (readFileSync(target, 'utf8') !== text) {
  console.error(
    'dashboard/generated/api.ts is not that of openapi.yaml: run "npm run openapi" and commit it',
  );
  process.exitCode = 1;
}
