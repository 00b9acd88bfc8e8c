// SPDX-License-Identifier: Apache-2.0
//
// Linux's own declarations of rings and packets, in a way that C++ accepts: the legacy part of <linux/virtio_ring.h>
// converts from void* silently.
#ifndef KINSOCK_TESTS_SUPPORT_UAPI_H_
#define KINSOCK_TESTS_SUPPORT_UAPI_H_

#define VIRTIO_RING_NO_LEGACY

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>

#endif  // KINSOCK_TESTS_SUPPORT_UAPI_H_
