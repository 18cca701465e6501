"""A device at the other end of a network: the server beside the board, and the Device that talks to it.

Two requests, both with the header "Authorization: Bearer TOKEN":

    GET /v1/device    JSON: what the device is, as of DeviceInfo
    POST /v1/run      body: frames, (n, C, H, W) uint8, n >= 1, raw; answer: the activations, (n, H, W, C) uint8, raw,
                      with the headers LogNet-Cycles and LogNet-Clock-MHz

Anything else is answered with a status of 400 or more and JSON {"error": message}.  Bodies are sent as they are: a
Content-Encoding is 415.

Before a connection has shown the token it is answered nothing, but for a whole HTTP/1 request with a wrong token or
none: 401 without a body.  What is no HTTP is closed in silence.  One connection too many with the token: 503.

    token_gate.py     the gate in front of the HTTP server
    listener.py       who may connect, how many at a time, for how long
    request_body.py   bodies: lengths, encodings, 100-continue, few at a time
    server.py         the requests above
    protocol.py, client.py
"""
