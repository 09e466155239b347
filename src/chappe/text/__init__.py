"""Text of short messages: encodings, segments, headers, reassembly. Pure functions; the rules are 3GPP TS 23.038 and
23.040, with UTF-16 where they say UCS-2, as handsets do."""

from chappe.text.alphabet import Alphabet, alphabet, pack, unpack
from chappe.text.decode import Charset, Coding, Decoded, decode, read_data_coding
from chappe.text.encode import Concatenation, Encoded, Encoding, Options, Part, encode, encode_binary
from chappe.text.errors import TextError
from chappe.text.normalise import Change, normalise
from chappe.text.preview import Forced, Preview, SmartSaving, preview
from chappe.text.reassembly import Key, Reassembly, StoredPart, belongs, join, missing, reassembly_key
from chappe.text.sender import TON_NPI, check_alphanumeric, sender_kind
from chappe.text.smart import suggest, transliterate
from chappe.text.special import REPLACE_TYPES, policy, waiting_data_coding, waiting_udh
from chappe.text.udh import Concat, Element, Udh, build_udh, concat_info, parse_udh, port_udh

__all__ = [
    "REPLACE_TYPES",
    "TON_NPI",
    "Alphabet",
    "Change",
    "Charset",
    "Coding",
    "Concat",
    "Concatenation",
    "Decoded",
    "Element",
    "Encoded",
    "Encoding",
    "Forced",
    "Key",
    "Options",
    "Part",
    "Preview",
    "Reassembly",
    "SmartSaving",
    "StoredPart",
    "TextError",
    "Udh",
    "alphabet",
    "belongs",
    "build_udh",
    "check_alphanumeric",
    "concat_info",
    "decode",
    "encode",
    "encode_binary",
    "join",
    "missing",
    "normalise",
    "pack",
    "parse_udh",
    "policy",
    "port_udh",
    "preview",
    "read_data_coding",
    "reassembly_key",
    "sender_kind",
    "suggest",
    "transliterate",
    "unpack",
    "waiting_data_coding",
    "waiting_udh",
]
