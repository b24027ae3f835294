mod analysis;
mod golden;
