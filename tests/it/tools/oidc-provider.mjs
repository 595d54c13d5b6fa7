// A certified authorisation server (oidc-provider) that judges token requests: node oidc-provider.mjs CONFIGURATION, as JSON:
// {"path": "/oauth2/v1/token", "demand": false, "client": {..}}. Prints its port. What it judged is at /judged; everything else
// below answers any bearer of a token with an empty list.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const require = createRequire(join(process.env.NODE_MODULES, 'x.js'));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);
const asked = JSON.parse(process.argv[2]);

const server = createServer();
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const issuer = `http://127.0.0.1:${server.address().port}`;
const judged = [];

const provider = new Provider(issuer, {
  clients: [{ grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...asked.client }],
  scopes: ['okta.users.read', 'okta.groups.read', 'okta.apps.read', `${issuer}/.default`],
  enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES384'], dPoPSigningAlgValues: ['RS256', 'ES256'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => asked.demand },
  },
  routes: { token: asked.path },
});
provider.on('grant.success', () => judged.push('ok'));
provider.on('grant.error', (ctx, error) => judged.push(`${error.error}: ${error.error_detail ?? error.error_description}`));
const judge = provider.callback();

function json(res, status, body) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
}

server.on('request', async (req, res) => {
  const { pathname } = new URL(req.url, issuer);
  if (pathname === '/judged') return json(res, 200, judged);
  if (pathname === asked.path) {
    // As Okta says it; oidc-provider would ask in other words.
    if (asked.demand && !req.headers.dpop) {
      judged.push('no proof');
      return json(res, 400, { error: 'invalid_dpop_proof', error_description: 'The DPoP proof JWT header is missing.' });
    }
    return judge(req, res);
  }
  const [scheme, token] = (req.headers.authorization ?? '').split(' ');
  const found = token && (await provider.ClientCredentials.find(token));
  if (!found || (scheme === 'DPoP') !== Boolean(found.jkt)) return json(res, 401, {});
  return json(res, 200, pathname.startsWith('/api/v1') ? [] : { '@odata.count': 0, value: [] });
});
console.log(server.address().port);
