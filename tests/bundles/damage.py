"""What tests of damaged bundles share."""

import hashlib
import json
import struct
import zipfile

from soars_nnunet.cascade.storage import file_hash, read_json, write_json


def keys_of(path):
    """Keys of a path: joined by points; what stands between ``>`` and ``<`` is one key, points and all."""
    keys = []
    rest = path
    while rest:
        if rest.startswith(">"):
            key, _, rest = rest[1:].partition("<")
            rest = rest.removeprefix(".")
        else:
            key, _, rest = rest.partition(".")
            if key == "files" and rest.startswith("/"):
                keys.append(key)
                key, rest = rest, ""
        keys.append(key)
    return keys


def at(data, path):
    for key in keys_of(path):
        data = data[int(key)] if isinstance(data, list) else data[key]
    return data


def rewrite_manifest(folder, path, value):
    """Put a value into the manifest, or remove it (``...``)."""
    file = folder / "manifest.json"
    data = read_json(file)
    *parents, last = keys_of(path)
    place = data
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if isinstance(place, list):
        place[int(last)] = value
    elif value is ...:
        del place[last]
    else:
        place[last] = value
    file.write_text(json.dumps(data))


def damage_weights(folder, name, content):
    """Exchange a file together with its size and hash."""
    (folder / name).write_bytes(content)
    data = read_json(folder / "manifest.json")
    data["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    write_json(folder / "manifest.json", data)


def read_header(content):
    """Header and data of a safetensors file."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def pack(folder, path):
    """Zip of a folder's files, not compressed."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return path


def stale_hashes(folder):
    """Names of the files that are not those of the manifest."""
    files = read_json(folder / "manifest.json")["files"]
    return [name for name, entry in files.items() if file_hash(folder / name) != entry["sha256"]]
