mod model;
mod replica;
mod world;
