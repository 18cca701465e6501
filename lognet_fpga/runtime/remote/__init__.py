"""A device at the other end of a network: the server beside the board, and the Device that talks to it.

Two requests, both with the header "Authorization: Bearer TOKEN":

    GET /v1/device    JSON: what the device is, as of DeviceInfo
    POST /v1/run      body: frames, (n, C, H, W) uint8, n >= 1, raw; answer: the activations, (n, H, W, C) uint8, raw,
                      with the headers LogNet-Cycles and LogNet-Clock-MHz

Anything else is answered with a status of 400 or more and JSON {"error": message}.
"""
