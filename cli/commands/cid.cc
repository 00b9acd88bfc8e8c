// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/commands/resource_commands.h"
#include "cli/flags/network_name.h"
#include "cli/flags/number_range.h"
#include "cli/flags/time_flag.h"
#include "cli/text/duration.h"

namespace kinsock {
namespace {

using google::protobuf::util::TimeUtil;
using Stub = v1::NetworkService::Stub;

void ShowCids(const std::vector<v1::CidLease>& cids, bool list, const Options& options) {
  v1::ListCidsResponse whole;
  *whole.mutable_cids() = {cids.begin(), cids.end()};
  Show(
      cids, list, {"CID", "STATE", "HOLDER", "UNTIL"},
      [](const v1::CidLease& lease) {
        std::string until;
        if (lease.has_expire_time()) until = TimeUtil::ToString(lease.expire_time());
        if (lease.has_quarantine_until()) until = TimeUtil::ToString(lease.quarantine_until());
        return std::vector<std::string>{absl::StrCat(lease.cid()), v1::CidLease::State_Name(lease.state()),
                                        lease.holder(), until.substr(0, until.find('.'))};
      },
      options, whole);
}

struct CidFlags {
  std::string network = "default";
  std::string cid;
  std::string holder;
  std::string ttl;
  bool force = false;
};

ExitCode ListCids(const CidFlags& flags, const Options& options) {
  v1::ListCidsRequest request;
  request.set_parent(FullNetworkName(flags.network));
  return AskAndShowAll(&Client::networks, &Stub::ListCids, request, &v1::ListCidsResponse::cids, ShowCids, options);
}

ExitCode ReserveCid(const CidFlags& flags, const Options& options) {
  v1::ReserveCidRequest request;
  request.set_parent(FullNetworkName(flags.network));
  request.set_holder(flags.holder);
  uint32_t first = 0, last = 0;
  if (!flags.cid.empty() && flags.cid != "auto") {
    if (!ParseRange(flags.cid, first, last)) {
      std::fprintf(stderr, "kinsockctl: cid reserve: \"%s\" is none of auto, a CID and FIRST-LAST\n",
                   flags.cid.c_str());
      return kExitUsage;
    }
    if (flags.cid.find('-') == std::string::npos) {
      request.mutable_cid()->set_static_cid(first);
    } else {
      request.mutable_cid()->mutable_range()->set_first(first);
      request.mutable_cid()->mutable_range()->set_last(last);
    }
  }
  if (!flags.ttl.empty()) {
    const auto time = TimeOf("--ttl", flags.ttl);
    if (!time.has_value()) return kExitUsage;
    SetDuration(*time, *request.mutable_ttl());
  }
  return AskAndShow(&Client::networks, &Stub::ReserveCid, request, ShowCids, options);
}

ExitCode ReleaseCid(const CidFlags& flags, const Options& options) {
  v1::ReleaseCidRequest request;
  request.set_name(flags.cid.rfind("networks/", 0) == 0
                       ? flags.cid
                       : absl::StrCat(FullNetworkName(flags.network), "/cids/", flags.cid));
  request.set_force(flags.force);
  return AskQuietly(&Client::networks, &Stub::ReleaseCid, request, options);
}

}  // namespace

void DeclareCidCommands(CLI::App& app, Command& command) {
  CLI::App* cid = app.add_subcommand("cid", "CIDs that are not free");
  cid->require_subcommand(1)->fallthrough();
  cid->footer(
      "Examples:\n  kinsockctl cid reserve 4000-4099 --for web-7 --ttl 10m\n"
      "  kinsockctl vm create web-7 --cid networks/default/cids/4000   # the name that reserve has printed\n"
      "  kinsockctl cid release 4000");
  const auto declare = DeclareBelow<CidFlags>(cid, command);
  const auto [list, listed] = declare("list", "Show who has which CID, for whom one is kept, and which rest", ListCids);
  AddNetworkFlag(*list, listed->network);
  const auto [reserve, reserved] = declare("reserve", "Keep a CID for a VM that is to come", ReserveCid);
  AddNetworkFlag(*reserve, reserved->network);
  reserve->add_option("cid", reserved->cid, "Which, one of a range, or auto")->option_text("CID|FIRST-LAST|auto");
  reserve->add_option("--for", reserved->holder, "For whom, as list shows it")->option_text("TEXT");
  reserve->add_option("--ttl", reserved->ttl, "For how long, by default an hour")->option_text("10m|24h");
  const auto [release, released] = declare("release", "Give a CID back that is kept", ReleaseCid);
  AddNetworkFlag(*release, released->network);
  release->add_option("cid", released->cid, "Which")->required()->option_text("CID");
  release->add_flag("--force", released->force, "Also one that rests");
}

}  // namespace kinsock
