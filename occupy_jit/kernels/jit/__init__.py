"""The one decorator of all kernels, the cache of compiled code, and threads."""
