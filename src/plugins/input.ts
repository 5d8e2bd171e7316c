/**
 * What may come in: JSON bodies and nothing else, checked as they are. Queries, paths and headers are texts and are read as what
 * their schema says; a body has types of its own, and `null` or `"40.7"` is no latitude.
 */
import ajvCompiler from '@fastify/ajv-compiler';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

const common = { removeAdditional: false, allErrors: false } as const;

export const inputPlugin = fp(
  async (app: FastifyInstance) => {
    app.removeContentTypeParser('text/plain');
    const compilerWith = ajvCompiler();
    const asItIs = compilerWith({}, { customOptions: { ...common, coerceTypes: false } });
    const fromText = compilerWith({}, { customOptions: { ...common, coerceTypes: 'array' } });
    app.setValidatorCompiler((part) => (part.httpPart === 'body' ? asItIs(part) : fromText(part)));
  },
  { name: 'input' },
);
