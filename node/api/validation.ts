import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import type { FastifySchemaCompiler } from 'fastify';
import type { TObject, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

/**
 * Checks requests against their schemas. TypeBox's converter takes names of properties for patterns, and `*`, the rest of
 * a path, is none: such parameters are text already and are checked as they are.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = (route) => {
  const { schema, httpPart } = route;
  if (httpPart !== 'params' || !('*' in ((schema as TObject).properties ?? {})))
    return TypeBoxValidatorCompiler(route);
  const checker = Compile(schema);
  return (value: unknown) => (checker.Check(value) ? { value } : { error: checker.Errors(value) });
};
