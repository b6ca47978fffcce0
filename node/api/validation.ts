import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import type { FastifySchemaCompiler } from 'fastify';
import type { TObject, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

const DECIMAL = /^-?\d{1,15}$/;

/**
 * Checks requests against their schemas. TypeBox's converter takes names of properties for patterns, and `*`, the rest of
 * a path, is none: such parameters are text already and are checked as they are. It takes `true`, `1.9` and `0x10` for
 * whole numbers, too: in addresses those are decimal and nothing else.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = (route) => {
  const { schema, httpPart } = route;
  const properties: Record<string, TSchema> = (schema as TObject).properties ?? {};
  if (httpPart === 'params' && '*' in properties) {
    const checker = Compile(schema);
    return (value: unknown) => (checker.Check(value) ? { value } : { error: checker.Errors(value) });
  }
  const check = TypeBoxValidatorCompiler(route);
  if (httpPart === 'body') return check;
  const numbers = Object.keys(properties).filter(
    (name) => (properties[name] as { type?: string }).type === 'integer',
  );
  return (value: Readonly<Record<string, unknown>>) => {
    const odd = numbers.find((name) => value[name] !== undefined && !DECIMAL.test(String(value[name])));
    return odd === undefined
      ? check(value)
      : {
          error: [
            {
              keyword: 'type',
              instancePath: `/${odd}`,
              schemaPath: '',
              params: {},
              message: 'must be integer',
            },
          ],
        };
  };
};
