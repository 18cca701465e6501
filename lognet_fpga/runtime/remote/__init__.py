"""A device at the other end of a network: the server beside the board, and the Device that talks to it.

The protocol is the Open Inference Protocol v2 (https://github.com/kserve/open-inference-protocol) over HTTP, with its
extension for binary tensors, as Triton, KServe, OpenVINO and Seldon speak it:

    GET  /v2                                          the server
    GET  /v2/health/live, /v2/health/ready            200
    GET  /v2/models/NAME[/versions/DIGEST]            the model: inputs, outputs, and as parameters those of DeviceInfo
    GET  /v2/models/NAME[/versions/DIGEST]/ready      200
    POST /v2/models/NAME[/versions/DIGEST]/infer      frames or pictures in, outputs out

NAME is the bundle's, DIGEST its SHA-256.  Inputs, of which a request has one: `frames`, UINT8 [n, C, H, W], as the FPGA
takes them; `pictures`, BYTES [n], image files that are resized and cropped as the bundle says (in JSON: base64).
Outputs: those of the model by their names, given where none is asked for; `predictions`, INT64 [n], the classes, where
the model has any; `activations`, UINT8 or INT32 [n, H, W, C], what leaves the FPGA.  An output of the model that has
one of these two names is called model_activations or model_predictions.  Parameters of an answer: pl_cycles and clk_mhz
of the programmable logic; wait_s and device_s, seconds that the request waited for the device and had it.

Every request has the header "Authorization: Bearer TOKEN", unless the server was told to ask for none.  Refusals have a
status of 400 or more and JSON {"error": message}.  Bodies are sent as they are: a Content-Encoding is 415.

Before a connection has shown the token it is answered nothing, but for a whole HTTP/1 request with a wrong token or
none: 401.  What is no HTTP is closed in silence.  One connection too many with the token: 503.

    token_gate.py     the gate in front of the HTTP server
    listener.py       who may connect, how many at a time, for how long
    request_body.py   bodies: lengths, encodings, 100-continue, few at a time
    inference.py      requests for inference, checked, and their answers; tensors.py: datatypes and values
    model.py          what becomes of a request, whatever the protocol
    server.py         the requests above, on http_server.py; refusal.py: why one is not served
    grpc_server.py    the same by gRPC, with grpc_messages.py
    metrics.py        /metrics
    client.py         a device elsewhere; request_times.py: how long its requests took
    fleet.py          several of them as one
    protocol.py       what both sides must agree on
"""
