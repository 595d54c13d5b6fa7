// A SCIM server by SCIMMY on Express 4, for tests: a Map per type, 409 on duplicates without regard to case, a bearer token.
//
//     NODE_MODULES=DIR node scimmy-server.mjs PORT TOKEN
//
// Prints one line when it listens. The packages are found in NODE_MODULES, not beside this file.
import { createRequire } from "node:module";
import { randomUUID } from "node:crypto";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.NODE_MODULES}/`);
// By import: Node before 20.19 cannot require() an ES module.
const load = async (name) => {
    const loaded = await import(pathToFileURL(require.resolve(`${process.env.NODE_MODULES}/${name}`)));
    return loaded.default?.default ?? loaded.default ?? loaded;
};
const express = await load("express");
const SCIMMY = await load("scimmy");
const SCIMMYRouters = await load("scimmy-routers");

const [port, token] = process.argv.slice(2);

function store(type, unique) {
    const rows = new Map();
    const names = new Map();
    const key = (row) => (unique && row[unique] !== undefined ? String(row[unique]).toLowerCase() : undefined);
    type.ingress((resource, data) => {
        const now = new Date().toISOString();
        const old = resource.id === undefined ? undefined : rows.get(resource.id);
        if (resource.id !== undefined && old === undefined) throw new SCIMMY.Types.Error(404, null, `${resource.id} not found`);
        const row = JSON.parse(JSON.stringify(data));
        row.id = old?.id ?? randomUUID();
        row.meta = { created: old?.meta.created ?? now, lastModified: now };
        const name = key(row);
        const holder = names.get(name);
        if (name !== undefined && holder !== undefined && holder !== row.id) {
            throw new SCIMMY.Types.Error(409, "uniqueness", `${unique} ${row[unique]} is taken`);
        }
        if (old !== undefined) names.delete(key(old));
        if (name !== undefined) names.set(name, row.id);
        rows.set(row.id, row);
        return row;
    });
    type.egress((resource) => {
        if (resource.id !== undefined) {
            const row = rows.get(resource.id);
            if (row === undefined) throw new SCIMMY.Types.Error(404, null, `${resource.id} not found`);
            return row;
        }
        const all = [...rows.values()];
        return resource.filter ? resource.filter.match(all) : all;
    });
    type.degress((resource) => {
        const row = rows.get(resource.id);
        if (row === undefined) throw new SCIMMY.Types.Error(404, null, `${resource.id} not found`);
        rows.delete(resource.id);
        names.delete(key(row));
    });
}

SCIMMY.Resources.declare(SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false));
SCIMMY.Resources.declare(SCIMMY.Resources.Group);
store(SCIMMY.Resources.User, "userName");
store(SCIMMY.Resources.Group, undefined);

const app = express();
app.use("/scim", new SCIMMYRouters({
    type: "bearer",
    handler: (request) => {
        if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("wrong or no token");
        return "tester";
    },
}));
app.listen(Number(port), "127.0.0.1", () => console.log("listening"));
