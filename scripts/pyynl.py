"""Runs queries through pyynl, the netlink tool of the kernel's source: pyynl.py <source> < queries.

Queries and answers are lines of JSON. Numbers are strings, since they have 64 bits; bytes are in
hexadecimal; flags are sorted. What the kernel refuses is an object with errno, words and attribute.
"""

import errno
import json
import os
import sys

source = sys.argv[1]
sys.path.append(os.path.join(source, 'tools/net/ynl/pyynl'))

from lib import NlError, YnlFamily  # noqa: E402

# Addresses as bytes, not as text.
YnlFamily._formatted_string = lambda self, raw, hint: raw
families = {}


def family(name):
    if name not in families:
        spec = os.path.join(source, f'Documentation/netlink/specs/{name}.yaml')
        families[name] = YnlFamily(spec, schema='', process_unknown=True)
    return families[name]


def plain(value):
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, set):
        return sorted(plain(each) for each in value)
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def answer(query):
    ynl = family(query['family'])
    if query['mode'] == 'policy':
        return {mode: ynl.get_policy(query['operation'], mode) for mode in query['modes']}
    if query['mode'] == 'dump':
        return ynl.dump(query['operation'], query['attributes'])
    return ynl.do(query['operation'], query['attributes'])


for line in sys.stdin:
    query = json.loads(line)
    try:
        result = answer(query)
        if query['mode'] == 'policy':
            result = {mode: None if each is None else each.to_dict() for mode, each in result.items()}
        print(json.dumps(plain(result)), flush=True)
    except NlError as error:
        extack = error.nl_msg.extack or {}
        # Python has two names for this one.
        names = {errno.EOPNOTSUPP: 'EOPNOTSUPP'}
        name = names.get(error.error) or errno.errorcode.get(error.error, str(error.error))
        told = {'errno': name, 'words': extack.get('msg'), 'attribute': extack.get('bad-attr')}
        print(json.dumps({'refused': told, 'missing': extack.get('miss-type')}), flush=True)
