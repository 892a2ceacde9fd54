mod logged;
mod model;
mod replica;
mod signs;
mod world;
