// The API as an OpenAPI 3.1 document, made from the rows that serve it.

import { z } from 'zod';
import { statusOf } from './once.ts';
import type { Route } from './route.ts';

type Schema = Record<string, unknown>;

const schemaOf = (shape: z.ZodType, io: 'input' | 'output'): Schema => {
  const { $schema: _, ...schema } = z.toJSONSchema(shape, { io, unrepresentable: 'any' });
  return schema;
};

const problem = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'what is wrong, and what to do' },
    errors: { type: 'array', items: { type: 'object', required: ['path', 'message'], properties: { path: { type: 'string' }, message: { type: 'string' } } } },
    wantedRev: { type: 'integer', description: 'with 412: the newest rev' },
    changed: {
      type: 'array',
      items: {
        type: 'object',
        properties: { path: { type: 'string' }, was: {}, now: {}, by: { type: 'string', description: 'who changed it; empty: nobody knows any more' } },
      },
      description: 'with 412: what changed since the rev of If-Match',
    },
  },
};

/** `url`: of the portal. */
export function openApiDocument(url: string, routes: readonly Route[]): Schema {
  const paths: Record<string, Schema> = {};
  for (const route of routes) paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  return {
    openapi: '3.1.0',
    info: { title: 'mailsite portal', version: '1', description: 'Times are milliseconds since 1970. Lists go on with after: the next of the page before.' },
    servers: [{ url: `${url}/api/v1` }],
    paths,
    components: {
      schemas: { Problem: problem },
      responses: {
        Problem: { description: 'It was not done.', content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
      },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'An API token: mst_…' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'mailsite',
          description: 'Of a browser; changes also need the header X-Mailsite: 1 and the Origin of the portal.',
        },
      },
    },
  };
}

const noToken = '; a token, whatever its role, gets 403: sign in as a person';
function operationOf(route: Route): Schema {
  const { about, who, people, answer, raw, body } = route;
  const may = who === 'anyone' ? 'Anyone.' : who === 'person' ? `Whoever is signed in${noToken}.` : `${who.join(', ')}${people ? noToken : ''}.`;
  const status = String(statusOf(route));
  const content = raw !== undefined ? { [raw]: {} } : answer.type === 'void' ? null : { 'application/json': { schema: schemaOf(answer, 'output') } };
  const hasBody = route.method !== 'GET' && route.method !== 'DELETE' && !(body.type === 'object' && Object.keys((body as z.ZodObject).shape).length === 0);
  return {
    operationId: `${route.method.toLowerCase()}${route.path.replace(/[{}]/g, '').replace(/[/-]([a-z])/g, (_, letter: string) => letter.toUpperCase())}`,
    summary: about,
    description: `May be used by: ${may}`,
    parameters: parametersOf(route),
    ...(hasBody ? { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } } } : {}),
    responses: {
      [raw !== undefined ? '200' : status]: { description: 'Done.', ...(content === null ? {} : { content }) },
      default: { $ref: '#/components/responses/Problem' },
    },
    security: who === 'anyone' ? [] : people || who === 'person' ? [{ session: [] }] : [{ token: [] }, { session: [] }],
  };
}

function parametersOf(route: Route): Schema[] {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
  const { properties = {}, required = [] } = schemaOf(route.query, 'input') as { properties?: Record<string, Schema>; required?: string[] };
  const inQuery = Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: required.includes(name), schema }));
  const headers = [
    ...(route.method === 'POST' && route.who !== 'anyone' ? [['Idempotency-Key', false, 'a repeated request with the same key is done once']] : []),
    ...(route.path.includes('{site}') && route.method !== 'GET' ? [['If-Match', route.match === true, 'the rev that was seen, such as "41"']] : []),
  ].map(([name, needed, description]) => ({ name, in: 'header', required: needed, description, schema: { type: 'string' } }));
  return [...inPath, ...inQuery, ...headers];
}
