// The environment that NCCL reads when it is first called: what is set for it, what is refused, what is
// recorded.
//
// Main thread, before the first call of NCCL.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orthant {

// ORTHANT_NCCL_SHARE_GPU=1: several ranks may use one GPU, for tests on hosts that have no more. NCCL then
// takes each rank for a host of its own and the ranks talk over sockets.
[[nodiscard]] bool ranks_share_gpus();

// Sets, unless they are set, NCCL_NVLS_ENABLE=0, because with NVLS the bits of a sum depend on what else is
// running, and NCCL_LAUNCH_ORDER_IMPLICIT=1, by which NCCL from 2.26 on starts operations of several
// communicators of a rank in the order of the calls: otherwise those of two streams may wait for each other.
// Where ranks share a GPU it sets a NCCL_HOSTID of this rank. Throws Error(kConfig) when
// NCCL_SOCKET_IFNAME names no network interface of this host, which NCCL would report much later.
void prepare_nccl_environment(int rank);

// Whether an NCCL of this version (22809 is 2.28.9) with NCCL_LAUNCH_ORDER_IMPLICIT=`setting` starts
// operations of several communicators of a rank in the order of the calls, so that those of two streams
// cannot wait for each other. Pure.
[[nodiscard]] bool launches_in_order_of_calls(int version, std::string_view setting);

// The same of this process.
[[nodiscard]] bool launches_in_order_of_calls(int version);

// Whether NCCL_SOCKET_IFNAME=`setting` leaves one of the interfaces `present`: prefixes after commas, "=" for
// whole names, "^" for all others.
[[nodiscard]] bool names_an_interface(std::string_view setting, std::span<const std::string> present);

// All variables of NCCL that are set, by name: what the bits of its sums may depend on, for run.json.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> nccl_settings();

}  // namespace orthant
