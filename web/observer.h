// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_OBSERVER_H_
#define KINSOCK_WEB_OBSERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "server/config/http_settings.h"
#include "server/host/bound_socket.h"
#include "server/reactors/heartbeat.h"
#include "server/rpc/api_listener.h"
#include "server/rpc/api_metrics.h"
#include "server/rpc/event_log.h"
#include "web/control_query.h"
#include "web/daemon_sample.h"
#include "web/event_feed.h"
#include "web/event_streams.h"
#include "web/http_app.h"
#include "web/http_server.h"
#include "web/json_api.h"

namespace kinsock {

// What the daemon shows over HTTP:
//
//     /metrics   for Prometheus
//     /livez     200: all threads that matter go round; 503: one is stuck, start the daemon anew
//     /readyz    200: VMs can be made here; 503: not now. ?verbose tells each check
//
// and, unless the settings say no, a page to look at, and what it reads:
//
//     /          the page (web/page)
//     /api/v1/   JSON (json_api.h) and events (event_streams.h), as a viewer sees them
//
// The main thread is asked for what it knows, at most ten times a second and with a deadline; no reactor is asked, and
// no lock of theirs is taken. /livez, the page and the events are answered at once, whatever else is asked for, and
// /livez also to who is one too many.
//
// Thread: main makes and unmakes it.
class Observer {
 public:
  struct Sources {
    // How things are. Runs on the main thread.
    std::function<DaemonSample()> sample;
    EventLoop& main;
    const Heartbeat& heartbeat;
    const ApiMetrics& api;
    JsonApi::Services services;
    EventLog& events;
  };

  // For `socket`, which listens. All sources outlive this object.
  Observer(BoundSocket socket, const HttpSettings& settings, ApiListener::Identify identify, Sources sources);
  // After Stop(), and when stopped(); or it was never started.
  ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // Serves from here on. Once. Errors: HttpServer::Start().
  absl::Status Start();

  // Serves no more. The main thread must go on until stopped().
  void Stop();
  bool stopped() const { return stopped_; }

 private:
  void ServePage();
  HttpReply Metrics();
  HttpReply Live() const;
  HttpReply Ready(const HttpRequest& request);
  std::shared_ptr<const DaemonSample> Sample();

  const Sources sources_;
  const PerVmMetrics per_vm_;
  bool stopped_ = false;             // main's
  std::unique_ptr<EventFeed> feed_;  // main's; null: no page

  // The server's thread's: what is answered at once; to one who is one too many, too.
  HttpApp health_;
  HttpApp prompt_;

  // The server's second thread's.
  ControlQuery query_;
  JsonApi json_;
  HttpApp app_;
  std::shared_ptr<const DaemonSample> sample_;  // null: none yet
  MonotonicTime sampled_at_;
  std::string metrics_;  // as they were said last
  MonotonicTime metrics_good_until_;

  std::unique_ptr<EventStreams> streams_;  // null: no page
  std::unique_ptr<HttpServer> server_;     // goes first: its connections hold streams
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_OBSERVER_H_
