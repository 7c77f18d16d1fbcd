"""A real RTSP server with a moving picture and a tone, run by the system's Python.

Usage: /usr/bin/python3 rtsp_server.py PORT     (prints "ready" once it listens)
Needs Debian's gir1.2-gst-rtsp-server-1.0, python3-gi, gstreamer1.0-plugins-{good,bad,ugly} and
gstreamer1.0-libav.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 (after the versions are chosen)

PIPELINE = (
    "( videotestsrc is-live=true pattern=ball"
    " ! video/x-raw,width=320,height=240,framerate=25/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 bitrate=500"
    " ! rtph264pay name=pay0 pt=96"
    " audiotestsrc is-live=true freq=440 volume=0.5"
    " ! audio/x-raw,rate=48000,channels=1 ! audioconvert ! avenc_aac"
    " ! rtpmp4gpay name=pay1 pt=97 )"
)


def main(port: str) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE)
    factory.set_shared(True)
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(sys.argv[1])
