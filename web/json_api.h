// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_JSON_API_H_
#define KINSOCK_WEB_JSON_API_H_

#include <google/protobuf/message.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/token_bucket.h"
#include "server/service/admin_service.h"
#include "server/service/connection_service.h"
#include "server/service/network_service.h"
#include "server/service/vm_service.h"
#include "web/control_query.h"
#include "web/cpu_share.h"
#include "web/http_app.h"

namespace kinsock {

// What the API answers to a viewer who reads, over HTTP and as protobuf JSON:
//
//     /api/v1/info          GetInfo
//     /api/v1/vms           ListVms            ?page_size= &page_token= &filter= &view=FULL
//     /api/v1/vms/{vm_id}   GetVm              ?view=FULL
//     /api/v1/connections   ListConnections    ?page_size= &page_token= &vm= &states= &order_by=
//     /api/v1/pairs         GetStats, of pairs ?vm= &top= &with_denied=
//     /api/v1/cids          ListCids           ?parent= (networks/default) &page_size= &page_token=
//
// What is wrong is a google.rpc.Status, with the HTTP status that goes with its code. One answer serves all who ask the
// same within kJsonAge, and the thread spends no more than kJsonShare: however many pages are open, the daemon's work
// is bounded.
//
// Thread: the HTTP server's second, but for what it has asked on main.
class JsonApi {
 public:
  struct Services {
    VmService* vms = nullptr;  // none is owned; all outlive this
    ConnectionService* connections = nullptr;
    NetworkService* networks = nullptr;
    AdminService* admin = nullptr;
  };

  // `query` outlives this.
  JsonApi(Services services, ControlQuery& query);

  // Serves these paths in `app`, which does not outlive this.
  void Serve(HttpApp& app);

  // Questions that main was asked. Thread: the server's second.
  uint64_t questions() const { return questions_; }
  // Requests refused because the thread had spent its share.
  uint64_t refused() const { return refused_; }

 private:
  struct Kept {
    std::string question;
    MonotonicTime time;
    int status = 200;
    std::string body;
  };

  // Sets the fields of `request` by the parameters and answers with what `ask` says, or what it said a moment ago.
  template <typename Response, typename Request>
  HttpReply Answer(const HttpRequest& asked, Request request,
                   void (JsonApi::*ask)(const Request&, absl::AnyInvocable<void(absl::StatusOr<Response>)>));
  const Kept* Find(const std::string& question) const;
  HttpReply Keep(std::string question, const absl::Status& status, const google::protobuf::Message* answer);
  HttpReply Refuse();

  // Main thread.
  void Read(const v1::GetInfoRequest& request, absl::AnyInvocable<void(absl::StatusOr<v1::Info>)> done);
  void Read(const v1::ListVmsRequest& request, absl::AnyInvocable<void(absl::StatusOr<v1::ListVmsResponse>)> done);
  void Read(const v1::GetVmRequest& request, absl::AnyInvocable<void(absl::StatusOr<v1::Vm>)> done);
  void Read(const v1::ListConnectionsRequest& request,
            absl::AnyInvocable<void(absl::StatusOr<v1::ListConnectionsResponse>)> done);
  void Read(const v1::GetStatsRequest& request, absl::AnyInvocable<void(absl::StatusOr<v1::StatsReport>)> done);
  void Read(const v1::ListCidsRequest& request, absl::AnyInvocable<void(absl::StatusOr<v1::ListCidsResponse>)> done);

  const Services services_;
  ControlQuery& query_;
  CpuShare share_;
  TokenBucket asking_;    // questions to the main thread
  std::list<Kept> kept_;  // the newest first
  size_t kept_bytes_ = 0;
  uint64_t questions_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_JSON_API_H_
