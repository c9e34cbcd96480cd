#include <fmt/format.h>

#include "runtime/comm/world.h"
#include "runtime/core/error.h"

namespace orthant {
namespace {

Error mesh_error(std::string problem, int world_size) {
  return {ExitCode::kConfig,
          {.problem = std::move(problem),
           .why = fmt::format("data x dictionary must be the number of ranks, {}", world_size),
           .suggestion = "Set mesh.data and mesh.dictionary to match, or leave one of them out."}};
}

int other_extent(std::string_view name, int given, int world_size) {
  if (given > 0 && world_size % given == 0) return world_size / given;
  throw mesh_error(fmt::format("mesh.{}={} does not divide the world", name, given), world_size);
}

}  // namespace

MeshShape resolve_mesh(MeshShape asked, int world_size) {
  if (asked.data == 0 && asked.dictionary == 0) return {.data = 1, .dictionary = world_size};
  if (asked.data == 0) {
    return {.data = other_extent("dictionary", asked.dictionary, world_size), .dictionary = asked.dictionary};
  }
  const int dictionary = other_extent("data", asked.data, world_size);
  if (asked.dictionary != 0 && asked.dictionary != dictionary) {
    throw mesh_error(
        fmt::format("mesh.data={} x mesh.dictionary={} is not the world", asked.data, asked.dictionary),
        world_size);
  }
  return {.data = asked.data, .dictionary = dictionary};
}

World split_world(World& world, int color) {
  return {.data = world.data->split(color, world.rank()),
          .control = world.control->split(color, world.rank()),
          .local_rank = world.local_rank,
          .local_size = world.local_size};
}

Grid make_grid(Communicator& world, MeshShape mesh) {
  require(mesh.data * mesh.dictionary == world.size(), "a mesh covers the world");
  const int data_index = world.rank() / mesh.dictionary;
  const int dictionary_index = world.rank() % mesh.dictionary;
  return {.dictionary = world.split(data_index, world.rank()),
          .data = world.split(dictionary_index, world.rank())};
}

}  // namespace orthant
