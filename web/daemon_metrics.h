// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_DAEMON_METRICS_H_
#define KINSOCK_WEB_DAEMON_METRICS_H_

#include "server/reactors/heartbeat.h"
#include "server/rpc/api_metrics.h"
#include "web/daemon_sample.h"
#include "web/event_streams.h"
#include "web/http_app.h"
#include "web/http_server.h"
#include "web/json_api.h"
#include "web/metric_writer.h"

namespace kinsock {

// The daemon itself: its VMs by network and state, CIDs, what policies have decided, watches, API connections.
void WriteDaemonMetrics(const DaemonSample& sample, MetricWriter& out);

// Its threads.
void WriteThreadMetrics(const DaemonSample& sample, const Heartbeat& heartbeat, MetricWriter& out);

// Calls of the API, under the names that gRPC libraries for Prometheus use.
void WriteApiMetrics(const ApiMetrics& api, MetricWriter& out);

// The socket that this is read from.
void WriteHttpMetrics(const HttpApp::Counts& requests, const HttpServer& server, MetricWriter& out);

// What the page reads there.
void WritePageMetrics(const JsonApi& json, const EventStreams& streams, MetricWriter& out);

}  // namespace kinsock

#endif  // KINSOCK_WEB_DAEMON_METRICS_H_
